import ClusterCore
import ClusterStore
import Glibc
import Raft
import StateRecords

/// A takeover on purpose, for `clusterctl drill`.
extension Member {
    /// Time for the answer and for the event to get out.
    private static let killMicroseconds: UInt32 = 300_000

    func drill(_ kind: DrillKind, _ answer: @escaping AdminAnswer) {
        guard case .status(let report) = self.statusReply() else { return answer(.failed(self.noLeader)) }
        if let problem = report.status.drillProblem {
            return answer(.failed(AdminFailure(.unavailable, "no drill, because the cluster is not whole: \(problem)")))
        }
        guard self.takeover.isServing else {
            return answer(
                .failed(AdminFailure(.unavailable, "no drill: the share is not served by the leader at the moment")))
        }
        switch kind {
        case .move: self.administerAsLeader(.move(node: ""), answer)
        case .kill:
            self.logger.warning("a drill: clusterd is killed")
            answer(.done("\(self.identity.name) is killed"))
            startThread("drill") {
                usleep(Self.killMicroseconds)
                kill(getpid(), SIGKILL)
            }
        case .partition:
            // Long enough for the others to notice, to elect and to fence.
            let time = Duration.milliseconds(Int64(self.settings.electionMaximumMilliseconds) * 5)
            self.logger.warning("a drill: deaf and dumb for \(time)")
            self.deafUntil = .now + time
            answer(.done("\(self.identity.name) is cut off for \(time)"))
        }
    }

    /// By a drill.
    var isDeaf: Bool {
        guard let until = self.deafUntil else { return false }
        if ContinuousClock.now < until { return true }
        self.deafUntil = nil
        self.logger.notice("a drill: back")
        return false
    }
}
