import ClusterCore
import ClusterPlatform
import ClusterStore
import Logging
import Raft
import StateRecords

extension Logger {
    /// A line of what was asked, and with the answer one of what came of it; none where `request.audit` is nil.
    func audit(_ request: AdminRequest, by who: String, _ answer: @escaping AdminAnswer) -> AdminAnswer {
        guard let act = request.audit.map({ oneLine($0) }) else { return answer }
        self.notice("audit: \(who): \(act)")
        return { reply in
            self.notice("audit: \(who): \(act): \(oneLine(reply.outcome))")
            answer(reply)
        }
    }
}

/// Who did what: a line in the log of the node that was asked and in the leader's, and an event of the cluster.
extension Member {
    /// What an administrator asks of this node. `who`: as the socket knows it.
    func administer(_ request: AdminRequest, by who: String, _ answer: @escaping AdminAnswer) {
        guard request.audit != nil else { return self.administer(request, answer) }
        let who = "\(who) on \(self.identity.name)"
        let logged = self.logger.audit(request, by: who, answer)
        if request.isLocal(to: self.identity.name) { return self.administer(request, logged) }
        self.administer(.audited(request, by: who), logged)
    }

    func administerAsLeader(_ request: AdminRequest, by who: String, _ answer: @escaping AdminAnswer) {
        guard let act = request.audit else { return self.administerAsLeader(request, answer) }
        guard self.raft.isEstablishedLeader else { return answer(.failed(self.noLeader)) }
        switch request {
        case .move, .drill:
            // Who does it leads no more when it is done.
            self.audited("\(who): \(act): begun")
            return self.administerAsLeader(request, answer)
        default: break
        }
        let mailbox = self.mailbox
        self.administerAsLeader(request) { reply in
            mailbox.post(.audited("\(who): \(act): \(reply.outcome)"))
            answer(reply)
        }
    }

    func audited(_ line: String) {
        let line = oneLine(line)
        self.logger.notice("audit: \(line)")
        guard self.raft.isLeader else { return }
        self.propose(
            .record(
                EventRecord(
                    kind: .administration, node: self.identity.id, term: self.raft.term,
                    unixMilliseconds: unixMilliseconds(), detail: line)))
    }

    // MARK: What the state was

    func inspect(_ part: InspectedPart, at index: LogIndex, _ answer: @escaping AdminAnswer) {
        guard let state = self.state else { return answer(.failed(self.noLeader)) }
        let applied = state.appliedIndex
        let folder = self.options.folders.stateFolder
        guard index != 0, index != applied else { return answer(.inspection(Self.inspection(part, of: state))) }
        startThread("inspect") {
            do throws(StateHistory.Failure) {
                answer(
                    .inspection(
                        Self.inspection(
                            part, of: try StateHistory.state(at: index, applied: applied, in: folder))))
            } catch {
                switch error {
                case .notKept: answer(.failed(AdminFailure(.refused, "entry \(index) is not kept: \(error)")))
                case .store, .unreadable: answer(.failed(AdminFailure(.unavailable, "\(error)")))
                }
            }
        }
    }

    private static func inspection(_ part: InspectedPart, of state: ClusterState) -> Inspection {
        Inspection(
            part, of: state, lun: (try? LUNAddress(state.configuration.lun)).map { "\($0)" } ?? "unreadable")
    }
}
