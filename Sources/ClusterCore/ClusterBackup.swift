import Raft
import StateRecords

/// What `clusterctl backup` writes: all of the replicated state that outlives the machines. Without what belongs to them: the
/// handles and leases of clients, join tokens, and the certificate authority, whose key a restored cluster makes anew. Secret
/// all the same: it holds the users' NT hashes and the password of the LUN.
package struct ClusterBackup: Equatable, Sendable {
    /// By the wall clock of the node that made it.
    package var unixMilliseconds: UInt64
    /// The node that made it.
    package var node: String
    /// A majority confirmed that nothing newer was decided by then.
    package var isConfirmed: Bool
    package var term: Term
    package var state: ClusterState
    /// What the clients had open, which is not in it.
    package var handles: HandleCounts

    package init(of state: ClusterState, node: String, unixMilliseconds: UInt64, isConfirmed: Bool, term: Term) {
        self.unixMilliseconds = unixMilliseconds
        self.node = node
        self.isConfirmed = isConfirmed
        self.term = term
        self.state = state.forBackup
        self.handles = HandleCounts(state.handles)
    }

    private static let magic: [UInt8] = Array("HFBACKUP".utf8)
    /// Of a cluster of version 1, which the programs of before version 2 read, and of any later one.
    private static let firstVersion: UInt8 = 1
    private static let version: UInt8 = 2
    /// Bytes of a backup file at most: `RecordLimits.blobBytes`, which a section may have.
    package static let longest = RecordLimits.blobBytes

    package enum Unreadable: Error, Equatable, Sendable, CustomStringConvertible {
        case notABackup
        case newer(UInt8)
        case newerCluster(ClusterVersion)
        case damaged(String)

        package var description: String {
            switch self {
            case .notABackup: "this is not a backup of a Holdfast cluster"
            case .newer(let version):
                "this backup was made by a newer version (format \(version)): install that version first"
            case .newerCluster(let version):
                "this backup is of a cluster that runs version \(version), and this program can run "
                    + "\(ClusterVersionRange.program): install that cluster's program first"
            case .damaged(let what): "this backup is damaged (\(what)): take another one"
            }
        }
    }

    package var bytes: [UInt8] {
        var writer = BinaryWriter()
        for byte in Self.magic { writer.write(byte) }
        writer.section(version: self.state.version == 1 ? Self.firstVersion : Self.version) { writer in
            writer.write(self.unixMilliseconds)
            writer.write(self.node)
            writer.write(self.isConfirmed)
            writer.write(self.term)
            writer.write(self.state)
            writer.write(self.handles)
        }
        writer.write(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    package init(parsing bytes: [UInt8]) throws(Unreadable) {
        guard bytes.count > Self.magic.count + 4, bytes.starts(with: Self.magic) else { throw .notABackup }
        let body = Array(bytes.dropLast(4))
        var tail = BinaryReader(bytes.suffix(4))
        guard let sum = try? tail.read(UInt32.self), sum == CRC32C.of(body) else {
            throw .damaged("the checksum is wrong")
        }
        var reader = BinaryReader(body.dropFirst(Self.magic.count))
        if let version = body.dropFirst(Self.magic.count).first, version > Self.version { throw .newer(version) }
        do throws(RecordError) {
            self = try reader.section { (_, reader) throws(RecordError) in
                let time = try reader.read(UInt64.self)
                let node = try reader.read(String.self)
                let isConfirmed = try reader.read(Bool.self)
                let term = try reader.read(Term.self)
                let state = try reader.read(ClusterState.self)
                var backup = ClusterBackup(
                    of: state, node: node, unixMilliseconds: time, isConfirmed: isConfirmed, term: term)
                backup.handles = try reader.read()
                return backup
            }
        } catch {
            if case .newer(let version) = error { throw .newerCluster(version) }
            throw .damaged("\(error)")
        }
    }
}

/// The first node of a restored cluster, and where it stands.
package struct Restoration: Equatable, Sendable {
    package var state: ClusterState
    package var base: Snapshot
    package var hardState: HardState
    package var node: NodeRecord

    /// How far the new life begins behind all that the old one can have reached since the backup. The nodes of the old life may
    /// be anything but gone: their keys on the LUN must be older than any of the new one's, or those could throw the new
    /// cluster out; a client may come with a handle's id that was given out after the backup; a file may be owned by a user
    /// that was added after it.
    package static let termsSkipped: Term = 1 << 20
    package static let persistentIDsSkipped: UInt64 = 1 << 32
    package static let relativeIDsSkipped: UInt32 = 1 << 16
    package static let nodeIDsSkipped: NodeID = 16

    /// - Parameters:
    ///   - node: its id is given here.
    ///   - authority: a new one, with its key: what has a certificate of the old one is out.
    ///   - newestTerm: the newest term of which the LUN carries a key.
    /// - Returns: nil where the terms or ids are used up.
    package init?(
        _ backup: ClusterBackup, node: NodeRecord, authority: String, virtualIPs: [String], lun: String,
        fileSystem: [UInt8], newestTerm: Term, event: EventRecord
    ) {
        let old = backup.state.configuration
        let term = max(backup.term, backup.state.appliedTerm, newestTerm) + Self.termsSkipped
        let (relativeID, overflow) = old.nextRelativeID.addingReportingOverflow(Self.relativeIDsSkipped)
        var record = node
        record.id = old.nextNodeID + Self.nodeIDsSkipped
        // What the fence key has room for, and then some.
        guard term < Term(UInt32.max - 1 << 20), record.id < NodeID(UInt16.max - 1024), !overflow else { return nil }
        var configuration = old
        configuration.certificateAuthority = authority
        configuration.nodes = [record]
        configuration.nextNodeID = record.id + 1
        configuration.nextRelativeID = relativeID
        configuration.virtualIPs = virtualIPs
        configuration.lun = lun
        configuration.fileSystem = fileSystem
        // Its areas hold the promises of the old life.
        configuration.quorumDisks = QuorumDisks()
        let membership = Configuration(voters: [record.id])
        var event = event
        event.node = record.id
        event.term = term
        self.node = record
        self.state = backup.state.restored(
            configuration, membership: membership, term: term,
            nextPersistentID: backup.state.handles.nextPersistentID &+ Self.persistentIDsSkipped, event: event)
        self.base = Snapshot(index: self.state.appliedIndex, term: term, configuration: membership)
        self.hardState = HardState(term: term, commitIndex: self.state.appliedIndex)
    }
}
