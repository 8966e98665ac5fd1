import ClusterCore
import ClusterStore
import Raft
import StateRecords

/// A share that an administrator adds: who is told that it is served finds it.
struct PendingShare {
    enum Step {
        /// Is made; nothing is decided yet.
        case folder
        /// Proposed: answered in any case.
        case decision
        /// The server is told of the share when the folders of all shares are there.
        case server
    }

    var share: ShareRecord
    var step: Step
    var deadline: ContinuousClock.Instant
    var answer: AdminAnswer
}

/// `clusterctl share add`: the folder, the cluster's decision, the server that runs. Only the node that leads has the LUN.
extension Member {
    func addShare(_ share: ShareRecord, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        if let refusal = state.refusal(ofAdding: share) {
            return answer(.failed(AdminFailure(.refused, "\(refusal)")))
        }
        guard self.pendingShares.count < Limits.pendingShares, self.pending(share.name) == nil else {
            return answer(.failed(AdminFailure(.unavailable, "the share, or too many others, is just being added")))
        }
        let deadline = ContinuousClock.now + Limits.shareTime
        // Nobody has the LUN: what is in the folder's way shows when somebody does.
        let step: PendingShare.Step = self.takeover.isServing ? .folder : .decision
        self.pendingShares.append(PendingShare(share: share, step: step, deadline: deadline, answer: answer))
        switch step {
        case .folder: self.makeFolders()
        case .decision, .server: self.proposeShare(share)
        }
    }

    /// Those of all shares, and of those that are being added. The server opens a share's folder when it is told of the share:
    /// the folder has to be there first.
    func makeFolders() {
        self.foldersRevision += 1
        let paths =
            (self.announcedConfiguration?.shares ?? []).map(\.path) + self.pendingShares.map(\.share.path)
        self.storage.tell(.makeFolders(paths, revision: self.foldersRevision))
    }

    /// All that were told to be made, but for these. The server has been told of the configuration just before.
    func foldersMade(_ failures: [String: String]) {
        for pending in self.pendingShares {
            let share = pending.share
            switch (pending.step, failures[share.path]) {
            case (.decision, _): continue
            case (.folder, let why?):
                self.end(share, .failed(AdminFailure(.refused, "share \(share.name) is not added: \(why)")))
            case (.folder, nil):
                guard let index = self.pending(share.name) else { continue }
                self.pendingShares[index].step = .decision
                self.proposeShare(share)
            case (.server, let why?): self.end(share, Self.unserved(share, why))
            case (.server, nil): self.confirm(share)
            }
        }
    }

    private func proposeShare(_ share: ShareRecord) {
        self.propose(.addShare(share)) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .applied(.refused(let refusal)): self.end(share, .failed(AdminFailure(.refused, "\(refusal)")))
            case .applied:
                guard self.takeover.isServing, let index = self.pending(share.name) else {
                    return self.end(share, Self.servedLater(share))
                }
                // The configuration was announced in the same step, and the folders are under way.
                self.pendingShares[index].step = .server
                self.pendingShares[index].deadline = .now + Limits.shareTime
            case .dropped(let reason): self.end(share, .failed(Self.failure(reason)))
            }
        }
    }

    private func confirm(_ share: ShareRecord) {
        guard let index = self.pending(share.name) else { return }
        guard self.takeover.isServing, let server = self.server else {
            return self.end(share, Self.servedLater(share))
        }
        let answer = self.pendingShares.remove(at: index).answer
        // Answered by the worker in any case: it ends a server that does not answer.
        server.tell(
            .askUnserved { unserved in
                guard let unserved else { return answer(Self.servedLater(share)) }
                let reason = unserved.first { $0.name == share.name }?.reason
                answer(reason.map { Self.unserved(share, $0) } ?? .done("share \(share.name) is served"))
            })
    }

    func lookAtShares(_ now: ContinuousClock.Instant) {
        for pending in self.pendingShares where now > pending.deadline {
            let name = pending.share.name
            switch pending.step {
            case .decision: continue
            case .folder:
                self.end(
                    pending.share,
                    .failed(
                        AdminFailure(
                            .storage,
                            "share \(name) is not added: its folder was not there within \(Limits.shareTime). Does the "
                                + "target answer? See 'clusterctl status', and try again")))
            case .server:
                let why = "its folder was not there within \(Limits.shareTime)"
                self.end(pending.share, Self.unserved(pending.share, why))
            }
        }
    }

    private static func unserved(_ share: ShareRecord, _ why: String) -> AdminReply {
        .failed(
            AdminFailure(
                .storage,
                "share \(share.name) is added and is not served: \(why). Mend that, or take it out again with 'clusterctl "
                    + "share remove \(share.name)'"))
    }

    private static func servedLater(_ share: ShareRecord) -> AdminReply {
        .done(
            "share \(share.name) is added; nobody serves at the moment: it is there when 'clusterctl status' shows an active "
                + "node")
    }

    private func pending(_ name: String) -> Int? {
        self.pendingShares.firstIndex { $0.share.name.lowercased() == name.lowercased() }
    }

    private func end(_ share: ShareRecord, _ reply: AdminReply) {
        guard let index = self.pending(share.name) else { return }
        self.pendingShares.remove(at: index).answer(reply)
    }
}
