import ClusterCore
import ClusterPlatform
import ClusterStore
import ClusterTransport
import Glibc
import QuorumDisk
import Raft
import StateRecords
import Synchronization

/// Everything that happens to a node comes to its one loop as one of these.
enum LoopEvent: Sendable {
    case peerMessage(NodeID, PeerMessage)
    case peerConnected(NodeID)
    case peerDisconnected(NodeID)
    case store(ClusterStore.Outcome)
    /// This node's, for that node or disk.
    case stateEncoded(NodeID, Snapshot, [UInt8])
    case stateDecoded(Result<ClusterState, RecordError>, StateSource)
    /// The answers and reports of the workers.
    case takeover(Takeover.Event)
    case fence(String)
    /// Whether this node reaches the LUN over the portal with this number.
    case probed(path: Int, Reach)
    /// The portal over which the LUN is in use by this node.
    case usedPath(String?)
    /// For the shares of that revision of the configuration: why not, by the path of the share.
    case foldersMade(revision: UInt64, failures: [String: String])
    case journal(JournalBatch)
    case serverStatus(ServerStatus?)
    case lunPrepared(Result<FilesystemID, PlatformError>, InitializeParameters, AdminAnswer)
    /// Of the quorum disk with that number; nil: some of the batch failed.
    case diskDone(NodeID, batch: UInt64, [[UInt8]]?)
    /// Each of its portals leads to the cluster's LUN.
    case storageAddressChecked(Result<String, PlatformError>, AdminAnswer)
    /// Nil: nothing is on that LUN, which is to become a quorum disk. It is not before the loop has said that it may.
    case quorumLUNFound(DiskIdentity?, QuorumPreparation.Order, Mailbox<QuorumPreparation.Verdict>)
    case quorumDiskPrepared(Result<QuorumDiskRecord, AdminFailure>, QuorumPreparation.Order, AdminAnswer)
    case restorePrepared(Result<RestoredLUN, PlatformError>, RestorePlan, AdminAnswer)
    case joined(Result<JoinReply, AdminFailure>, JoinParameters, AdminAnswer)
    /// The cluster took this node back, after its state was lost; or what it said last.
    case rejoined(Result<JoinReply, AdminFailure>)
    /// Who: as the socket knows it.
    case admin(AdminRequest, by: String, AdminAnswer)
    /// For the cluster's events: who did what, and how it went.
    case audited(String)
    /// A node passed on what its administrator asked; this node should lead.
    case forwarded(NodeID, AdminRequest, AdminAnswer)
    /// What the leader said to a request that this node passed on, or that it said nothing.
    case forwardAnswered(UInt64, AdminReply)
    /// Somebody with credentials that the cluster's authority signed, from another machine.
    case administered(RemoteAdministrator, AdminRequest, AdminAnswer)
    /// This node's new certificate.
    case renewed(CredentialsReply, AdminAnswer)
    case joinRequest(JoinRequest, @Sendable (JoinReply) -> Void)
    /// This node was taken out of the cluster at its own wish.
    case left
    case terminate
}

/// What happened to a node, on its way to the node's loop.
final class LoopMailbox: Sendable {
    let thread = NodeThread()
    private let waiting = Mutex<[LoopEvent]>([])

    func post(_ event: LoopEvent) {
        let wasEmpty = self.waiting.withLock {
            $0.append(event)
            return $0.count == 1
        }
        if wasEmpty { self.thread.wake() }
    }

    /// All that waits, in the order of its posting.
    func drain() -> [LoopEvent] {
        self.waiting.withLock {
            let all = $0
            $0 = []
            return all
        }
    }
}

typealias AdminAnswer = @Sendable (AdminReply) -> Void

/// Waits for SIGTERM and SIGINT; the second one ends the process at once.
func startSignalThread(_ signals: sigset_t, _ mailbox: LoopMailbox) {
    startThread("signals") {
        var waited = signals
        var seen = 0
        while true {
            var signal: Int32 = 0
            guard sigwait(&waited, &signal) == 0 else { continue }
            seen += 1
            if seen > 1 { _exit(1) }
            mailbox.post(.terminate)
        }
    }
}

/// Hands what the transport's threads hear to the loop.
final class PeerHandler: TransportHandler {
    private let mailbox: LoopMailbox

    init(_ mailbox: LoopMailbox) { self.mailbox = mailbox }

    func received(_ message: [UInt8], from node: UInt64) {
        // A peer of a newer version may say what this one cannot read; Raft bears the loss.
        guard let message = try? PeerMessage(decoding: message) else { return }
        self.mailbox.post(.peerMessage(node, message))
    }

    func peerConnected(_ node: UInt64) { self.mailbox.post(.peerConnected(node)) }
    func peerDisconnected(_ node: UInt64) { self.mailbox.post(.peerDisconnected(node)) }

    func request(_ payload: [UInt8], from requester: Requester, reply: @escaping @Sendable ([UInt8]) -> Void) {
        switch requester {
        case .node(let node):
            guard let request = try? AdminRequest(decoding: payload) else {
                return reply(AdminReply.failed(.otherVersion).encoded)
            }
            self.mailbox.post(.forwarded(node, request) { reply($0.encoded) })
        case .administrator(let name, let fingerprint):
            guard let request = try? AdminRequest(decoding: payload) else {
                let failure = AdminFailure(.refused, "clusterctl and clusterd are of different versions")
                return reply(AdminReply.failed(failure).encoded)
            }
            let administrator = RemoteAdministrator(name: name, fingerprint: fingerprint)
            self.mailbox.post(.administered(administrator, request) { reply($0.encoded) })
        case .joining:
            guard let request = try? JoinRequest(decoding: payload) else {
                let failure = AdminFailure(
                    .refused, "the member runs another version: use the same version on all nodes")
                return reply(JoinReply.refused(failure).encoded)
            }
            self.mailbox.post(.joinRequest(request) { reply($0.encoded) })
        }
    }
}

extension Duration {
    var microseconds: UInt64 {
        UInt64(max(0, self.components.seconds)) * 1_000_000
            + UInt64(max(0, self.components.attoseconds) / 1_000_000_000_000)
    }
}

extension [StepTime] {
    var records: [StepRecord] { self.map { StepRecord(name: $0.name, microseconds: $0.duration.microseconds) } }
}

extension PlatformError {
    var failure: Takeover.Failure {
        switch self.kind {
        case .superseded: Takeover.Failure(.superseded, self.message)
        case .invalid, .notFound, .foreignReservation, .notOurs, .loginRefused, .unsafe:
            Takeover.Failure(.permanent, self.message)
        case .unreachable, .conflict, .busy, .scsi, .system: Takeover.Failure(.transient, self.message)
        }
    }
}

/// CLOCK_BOOTTIME, which `ContinuousClock` reads too and which is the same in every process.
func bootMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
}

/// By the wall clock, for people.
func unixMilliseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(max(0, time.tv_sec)) * 1000 + UInt64(time.tv_nsec) / 1_000_000
}
