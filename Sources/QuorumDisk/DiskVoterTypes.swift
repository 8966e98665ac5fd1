import Raft
import StateRecords

/// Times are in the Raft limits' ticks: 1 ms in clusterd.
package struct DiskVoterLimits: Equatable, Sendable {
    /// How often a leader moves its heartbeat on the disk, and everybody else looks at it.
    package var heartbeatTicks: UInt64 = 250
    /// The disk elects nobody while another node's heartbeat moved less than this ago: Raft's shortest election time-out.
    package var electionTicks: UInt64 = 1200
    /// What is not done by then has an unknown outcome.
    package var operationTicks: UInt64 = 2000
    /// After a failure the disk is tried again so much later.
    package var retryTicks: UInt64 = 1000
    /// How often what was seen is kept locally where nothing was acknowledged meanwhile.
    package var memoryTicks: UInt64 = 10_000
    /// How often a checkpoint is asked for while the ring is more than half full.
    package var checkpointTicks: UInt64 = 1000
    /// And after one that had no room: to encode a long state takes its time.
    package var refusedCheckpointTicks: UInt64 = 30_000
    /// Of a checkpoint that is written or read at once, before whatever else is due: well below `operationTicks` on a
    /// slow disk.
    package var checkpointStepByteCount = 4 << 20
    /// A checkpoint that was read for a vote is kept so long for the next one.
    package var foundStateTicks: UInt64 = 60_000
    /// Appends that wait for the operation under way; beyond it the oldest are dropped, as a network may.
    package var maximumWaitingAppends = 64

    package init() {}
}

/// Safeguards that the simulator switches off to prove that it would notice. Empty everywhere else.
package struct DiskDefects: OptionSet, Equatable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// An append is acknowledged without a look at the other areas after it.
    package static let skipReread = Self(rawValue: 1 << 0)
    /// A vote is granted although another node stood in the same term.
    package static let equalBallotAllowed = Self(rawValue: 1 << 1)
    /// A vote looks at the others' logs only.
    package static let ignoreOwnArea = Self(rawValue: 1 << 2)
    /// A vote is granted without a look at any log.
    package static let ignoreLogs = Self(rawValue: 1 << 3)
    /// Writes of an earlier life, or of an operation that was given up, may still be under way.
    package static let skipBarrier = Self(rawValue: 1 << 4)
    /// A disk that lost what it held is gone on with.
    package static let ignoreRollback = Self(rawValue: 1 << 5)
    /// The header is written beside the entries instead of after them.
    package static let headerBesideEntries = Self(rawValue: 1 << 7)
    /// Entries may take blocks that a slot still reaches.
    package static let overwriteReachable = Self(rawValue: 1 << 8)
    /// The heartbeat of another node is no reason to refuse.
    package static let ignoreHeartbeat = Self(rawValue: 1 << 9)
    /// A node that stood in this term already may stand again: its own ballot is not looked at.
    package static let ignoreOwnBallot = Self(rawValue: 1 << 10)
    /// What is read of another area counts though it may still be in the target's cache alone.
    package static let trustCache = Self(rawValue: 1 << 12)
    /// The header of a checkpoint is written before all of its steps are.
    package static let headerBeforeSteps = Self(rawValue: 1 << 13)
    /// The ballot is not written before the others' are read.
    package static let voteWithoutBallot = Self(rawValue: 1 << 11)
}

/// What happens to a disk voter. The shell gives the time it read just before.
package enum DiskEvent: Equatable, Sendable {
    case tick
    /// What this node's Raft core says to the disk. `commitIndex` is this node's.
    case receive(Message, commitIndex: LogIndex)
    /// All of that batch is done, writes on stable storage: one result a request, empty for a write.
    case completed(batch: UInt64, [[UInt8]])
    /// Some of that batch failed: what of it happened, or will, is not known.
    case failed(batch: UInt64)
    /// This node's state, as its leader in `term`: asked for by `DiskEffects.wantsCheckpoint` or by Raft.
    case checkpoint(Snapshot, state: [UInt8], term: Term)
}

package struct DiskBatch: Equatable, Sendable {
    package enum Request: Equatable, Sendable {
        /// Bytes from the disk's beginning; whole blocks.
        case read(offset: Int, byteCount: Int)
        /// Done when it is on stable storage.
        case write(offset: Int, bytes: [UInt8])
    }

    package enum Work: Equatable, Sendable {
        /// Makes sure that nothing this node sent before, in any life, can still reach the disk: a new session that took the
        /// old one's place, or a reset of the unit.
        case barrier
        /// In any order, or at once.
        case requests([Request])
        /// Puts on stable storage whatever the disk holds by now, whoever wrote it.
        case flush
    }

    package var number: UInt64
    package var work: Work

    package init(number: UInt64, work: Work) {
        self.number = number
        self.work = work
    }
}

/// What a node keeps locally of a quorum disk, to notice a disk that went back in time.
package struct DiskMemory: Equatable, Sendable {
    package var identity: DiskIdentity
    /// The highest header sequence seen in each area.
    package var sequences: [UInt64]

    package init(identity: DiskIdentity, sequences: [UInt64]) {
        self.identity = identity
        self.sequences = sequences
    }
}

extension DiskMemory: BinaryRecord {
    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.identity.cluster)
            writer.write(self.identity.disk)
            writer.write(UInt32(self.sequences.count))
            for sequence in self.sequences { writer.write(sequence) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let identity = DiskIdentity(cluster: try reader.read(), disk: try reader.read())
            let count = Int(try reader.read(UInt32.self))
            guard count <= Layout.maximumAreas else {
                throw .tooLong(kind: "areas", count: count, limit: Layout.maximumAreas)
            }
            var sequences: [UInt64] = []
            for _ in 0..<count { sequences.append(try reader.read()) }
            return DiskMemory(identity: identity, sequences: sequences)
        }
    }
}

package struct DiskEffects: Equatable, Sendable {
    /// To be carried out; one is under way at a time. A batch that was given up is followed by a barrier.
    package var batch: DiskBatch?
    /// For this node's Raft core, as if from the disk.
    package var messages: [Message] = []
    /// For this node's Raft core.
    package var events: [Event] = []
    /// The state that goes with a `diskVoted` among `events`: where Raft installs its base, this is it.
    package var state: [UInt8]?
    /// To be kept in stable storage; nothing waits for it.
    package var memory: DiskMemory?
    /// The leader's ring fills: its shell should hand in its state with `DiskEvent.checkpoint`.
    package var wantsCheckpoint = false
    /// Where it is new.
    package var status: DiskStatus?

    package init() {}
}

package enum DiskStatus: Equatable, Sendable {
    /// Not reached yet, or not since something failed; tried again and again.
    case unavailable(DiskTrouble)
    case ready
    /// Never used again: `clusterctl quorum replace`.
    case disabled(DiskFault)
}

package enum DiskTrouble: Equatable, Sendable {
    case starting
    /// A request failed or took longer than `DiskVoterLimits.operationTicks`.
    case noAnswer
    /// Neither header of that area can be read. What it holds is not known, so nothing is granted or acknowledged.
    case areaUnreadable(Int)
    /// The entries or the checkpoint of that area are not what its header says.
    case logUnreadable(Int)
    /// The state is longer than an extent.
    case stateTooLong(byteCount: Int)
}

package enum DiskFault: Equatable, Sendable {
    /// Not the disk that the cluster made: another one, or this one laid out anew.
    case otherDisk
    /// An area is older than it was, or its owner's is gone: wiped, or restored from a copy.
    case wentBack(area: Int)
    /// Another node, or another life of this one, writes this node's area.
    case areaTaken
    /// What this node's own area holds cannot be read.
    case ownAreaDamaged
}
