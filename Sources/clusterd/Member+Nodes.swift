import ClusterCore
import Raft
import StateRecords

/// What the others know of a node: its name, its address, its start.
extension Member {
    /// As leader. What was proposed of a node and is not applied yet is built upon: two changes at once must not undo each other.
    func changeNode(_ change: NodeChange, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        // The command is an old one: the node that is renamed has to know what to do with it.
        if !change.name.isEmpty, let hold = self.hold(on: AdminRequest.changeNode(change).since) {
            return answer(.failed(AdminFailure(.refused, "\(hold)")))
        }
        do throws(AdminFailure) {
            let known = state.configuration.node(named: change.node)
            let record = try change.record(in: state, present: known.flatMap { self.proposedRecords[$0.id] })
            var done = "node \(record.name) is at \(record.address)"
            if !change.name.isEmpty {
                done =
                    "\(change.node) is \(record.name) from now on; start its clusterd with that name from now on (its machine's "
                    + "host name, or --name), and have the targets that let initiators in by name know the new one"
            }
            self.proposeRecord(record, done, answer)
        } catch { answer(.failed(error)) }
    }

    /// As leader: a node started. The rest of its record is what the administrator says.
    func nodeStarted(_ started: NodeRecord, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        guard var record = self.proposedRecords[started.id] ?? state.configuration.node(started.id) else {
            return answer(.failed(AdminFailure(.refused, "there is no node with the id \(started.id)")))
        }
        record.incarnation = started.incarnation
        record.program = started.program
        record.interface = started.interface
        self.proposeRecord(record, "noted", answer)
    }

    private func proposeRecord(_ record: NodeRecord, _ done: String, _ answer: @escaping AdminAnswer) {
        self.proposedRecords[record.id] = record
        self.propose(.updateNode(record)) { [weak self] outcome in
            guard let self else { return }
            if self.proposedRecords[record.id] == record { self.proposedRecords[record.id] = nil }
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied: answer(.done(done))
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    /// Once in a life, when there is a leader: the others should know the present address and interface.
    func tellStart() {
        guard !self.hasToldStart, self.raft.leader != nil, var record = self.state?.configuration.node(self.identity.id)
        else { return }
        record.incarnation = self.identity.incarnation
        // Programs of version 1 would leave it out.
        record.program = self.version >= 2 ? self.options.program : nil
        record.interface = self.options.interface ?? record.interface
        guard record != self.state?.configuration.node(self.identity.id) else {
            self.hasToldStart = true
            return
        }
        guard self.raft.isLeader ? self.raft.isEstablishedLeader : true else { return }
        self.hasToldStart = true
        self.administer(.nodeStarted(record)) { _ in }
    }

    /// The administrator has given this node another name or address: it is called so from now on.
    func adoptOwnRecord(_ configuration: ClusterConfiguration) {
        guard let record = configuration.node(self.identity.id) else { return }
        if record.name != self.identity.name {
            self.logger.notice(
                "this node is \(record.name) from now on, no longer \(self.identity.name): start clusterd with that name"
            )
            self.identity.rename(to: record.name)
        }
        self.identity.address = record.address
    }
}
