import Raft
import StateRecords

package enum ClusterLimits {
    /// The newest are kept.
    package static let events = 512
    /// Of those, the newest that a status carries.
    package static let statusEvents = 64
    package static let tokens = 16
    package static let shares = 1024
    package static let users = 4096
    /// Of one share.
    package static let sharePermissions = 256
    /// Of one share.
    package static let hiddenFilePatterns = 64
    /// `RaftLimits.maximumMembers`; also what fits the fence key's node number.
    package static let nodes = 9
    /// Of people who administer the cluster from other machines.
    package static let credentials = 64
}

/// Who serves.
package struct ActiveNode: Equatable, BinaryRecord {
    package var node: NodeID
    /// Also the fence key's and the journal's epoch.
    package var term: Term
    /// By its own wall clock, for people.
    package var sinceUnixMilliseconds: UInt64

    package init(node: NodeID, term: Term, sinceUnixMilliseconds: UInt64) {
        self.node = node
        self.term = term
        self.sinceUnixMilliseconds = sinceUnixMilliseconds
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.node)
        writer.write(self.term)
        writer.write(self.sinceUnixMilliseconds)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.node = try reader.read()
        self.term = try reader.read()
        self.sinceUnixMilliseconds = try reader.read()
    }
}

/// The replicated state machine: the same entries give the same state on every node.
package struct ClusterState: Equatable, Sendable {
    /// What the cluster runs: never lower than it was.
    package private(set) var version: ClusterVersion
    package private(set) var configuration: ClusterConfiguration
    /// Raft's own, as of the last applied configuration entry.
    package private(set) var membership: Configuration
    package private(set) var handles: HandleState
    package private(set) var active: ActiveNode?
    /// The steps of the node that stopped serving in order, until another serves; nil when it did not.
    package private(set) var handover: [StepRecord]?
    /// The data nodes whose takeover failed since the last one that succeeded: leadership is not handed to these.
    package private(set) var failedNodes: [NodeID]
    /// The oldest first.
    package private(set) var events: [EventRecord]
    package private(set) var tokens: [TokenRecord]
    package private(set) var appliedIndex: LogIndex
    package private(set) var appliedTerm: Term

    /// A cluster as `init` makes it: one node, and a state that stands for the log's first entry, so that a node that
    /// joins (with an empty log) is sent the state and not entries that do not hold it.
    package init(
        founding configuration: ClusterConfiguration, membership: Configuration, version: ClusterVersion = .newest
    ) {
        self.version = version
        self.configuration = configuration
        self.membership = membership
        self.handles = HandleState()
        self.active = nil
        self.handover = nil
        self.failedNodes = []
        self.events = []
        self.tokens = []
        self.appliedIndex = Self.foundingIndex
        self.appliedTerm = Self.foundingTerm
    }

    /// The node was a member and is none any more. It still has its certificate, and no say. A node whose id was not given
    /// out yet when this state was current is one that joined since: its say counts, or it could not lead a node that
    /// was away meanwhile.
    package func isRemoved(_ node: NodeID) -> Bool {
        node < self.configuration.nextNodeID && self.configuration.node(node) == nil
    }

    package static let foundingIndex: LogIndex = 1
    package static let foundingTerm: Term = 1

    /// Entries come in the order of their indices, each once. One that cannot be read leaves the state as it was, and is never
    /// skipped: the other nodes may have applied it.
    /// - Parameter program: what this program can run.
    @discardableResult
    package mutating func apply(
        _ entry: Entry, program: ClusterVersionRange = .program
    ) throws(VersionProblem) -> CommandResult {
        precondition(entry.index == self.appliedIndex + 1, "an entry was skipped or repeated")
        var result = CommandResult.done
        switch entry.payload {
        case .empty: break
        case .configuration(let membership): self.membership = membership
        case .command(let bytes):
            let command: Command
            do throws(RecordError) { command = try Command(decoding: bytes) } catch {
                throw .unreadable(entry.index, "\(error)", program: program)
            }
            if case .raiseVersion(let version, _) = command, version > program.newest {
                throw .tooNew(version, from: entry.index, program: program)
            }
            result = self.apply(command, term: entry.term)
        }
        self.appliedIndex = entry.index
        self.appliedTerm = entry.term
        return result
    }

    private mutating func apply(_ command: Command, term: Term) -> CommandResult {
        if case .raiseVersion(let version, let stated) = command { return self.raise(to: version, stated) }
        guard command.since <= self.version else {
            return .refused(.heldBack(VersionHold(needed: command.since, active: self.version, holders: [])))
        }
        switch command {
        case .mutate(let epoch, let mutations):
            guard epoch == term else { return .refused(.staleEpoch(epoch, now: term)) }
            for mutation in mutations { self.handles.apply(mutation) }
        case .addNode(let node, let hash): return self.addNode(node, tokenHash: hash)
        case .removeNode(let id):
            guard let node = self.configuration.node(id) else { return .refused(.unknown("node with the id \(id)")) }
            guard !self.membership.contains(id) else { return .refused(.inUse("node \(node.name) is still a member")) }
            self.configuration.nodes.removeAll { $0.id == id }
            self.failedNodes.removeAll { $0 == id }
        case .updateNode(let node):
            guard let index = self.configuration.nodes.firstIndex(where: { $0.id == node.id }) else {
                return .refused(.unknown("node with the id \(node.id)"))
            }
            self.configuration.nodes[index] = node
        case .addShare(let share): return self.addShare(share)
        case .removeShare(let name):
            guard let index = self.configuration.shares.firstIndex(where: { $0.name.lowercased() == name.lowercased() })
            else { return .refused(.unknown("share \(name)")) }
            self.configuration.shares.remove(at: index)
            self.configuration.scheduleIndex(of: name).map { _ = self.configuration.snapshotSchedules.remove(at: $0) }
        case .putUser(let name, let hash): return self.putUser(name: name, ntHash: hash)
        case .removeUser(let name):
            guard let index = self.configuration.users.firstIndex(where: { $0.name.lowercased() == name.lowercased() })
            else { return .refused(.unknown("user \(name)")) }
            self.configuration.users.remove(at: index)
        case .putToken(let token):
            guard self.tokens.count < ClusterLimits.tokens else {
                return .refused(.tooMany("unused join tokens", limit: ClusterLimits.tokens))
            }
            self.tokens.append(token)
        case .removeToken(let hash): self.tokens.removeAll { $0.hash == hash }
        case .putCredential(let credential): return self.configuration.putCredential(credential)
        case .removeCredential(let name): return self.configuration.removeCredential(name)
        case .setSettings(let settings): self.configuration.settings = settings
        case .setSecurity(let name, let value):
            do throws(SecuritySettingError) { try self.configuration.settings.security.set(name, to: value) } catch {
                return .refused(.invalid("\(error)"))
            }
        case .setStorageAddress(let lun): self.configuration.lun = lun
        case .setLimit(let name, let value):
            do throws(LimitError) { try self.configuration.settings.limits.set(name, to: "\(value)") } catch {
                return .refused(.invalid("\(error)"))
            }
        case .activate(let node, let epoch, let event):
            guard epoch == term else { return .refused(.staleEpoch(epoch, now: term)) }
            self.active = ActiveNode(node: node, term: epoch, sinceUnixMilliseconds: event.unixMilliseconds)
            self.handover = nil
            self.failedNodes = []
            self.append(event)
        case .deactivate(let node, let epoch, let steps):
            if let active = self.active, active.node == node, active.term == epoch {
                self.active = nil
                self.handover = steps
            }
        case .record(let event):
            if event.kind == .failure, !self.failedNodes.contains(event.node) { self.failedNodes.append(event.node) }
            self.append(event)
        case .changeShare(let change):
            guard
                let index = self.configuration.shares.firstIndex(where: {
                    $0.name.lowercased() == change.name.lowercased()
                })
            else { return .refused(.unknown("share \(change.name)")) }
            return change.apply(to: &self.configuration.shares[index])
        case .setAdministrator(let name, let isAdministrator):
            guard let index = self.configuration.users.firstIndex(where: { $0.name.lowercased() == name.lowercased() })
            else { return .refused(.unknown("user \(name)")) }
            self.configuration.users[index].isAdministrator = isAdministrator
        case .setSnapshotSchedule(let schedule): return self.setSchedule(schedule)
        case .removeSnapshotSchedule(let share):
            guard let index = self.configuration.scheduleIndex(of: share) else {
                return .refused(.unknown("schedule for share \(share)"))
            }
            self.configuration.snapshotSchedules.remove(at: index)
        case .setQuorumDisk(let record): return self.setQuorumDisk(record)
        case .replaceNode(let id): return self.replaceNode(id)
        case .raiseVersion(let version, let stated): return self.raise(to: version, stated)
        }
        return .done
    }

    /// Every node of the state must have said that it can run it: one may have joined since the leader asked.
    private mutating func raise(to version: ClusterVersion, _ stated: [StatedProgram]) -> CommandResult {
        guard version > self.version else {
            return .refused(.exists("version \(version) of the cluster"))
        }
        var nodes = self.configuration.nodes
        var holders: [String] = []
        for index in nodes.indices {
            nodes[index].program = stated.first { $0.node == nodes[index].id }?.program
            guard nodes[index].program?.versions.contains(version) == true else {
                holders.append(nodes[index].name)
                continue
            }
        }
        guard holders.isEmpty else {
            return .refused(.heldBack(VersionHold(needed: version, active: self.version, holders: holders)))
        }
        self.version = version
        self.configuration.nodes = nodes
        return .done
    }

    private mutating func setQuorumDisk(_ record: QuorumDiskRecord?) -> CommandResult {
        // One replacement at a time: two records are kept, the member's and the wanted one's.
        let disks = self.configuration.quorumDisks
        if let member = self.membership.disk, member != disks.wanted {
            return .refused(.inUse("the quorum disk before this one is still being taken out"))
        }
        self.configuration.quorumDisks.want(record, nodes: self.configuration.nodes.map(\.id))
        return .done
    }

    private mutating func setSchedule(_ schedule: SnapshotSchedule) -> CommandResult {
        guard
            let share = self.configuration.shares.first(where: { $0.name.lowercased() == schedule.share.lowercased() })
        else { return .refused(.unknown("share \(schedule.share)")) }
        var kept = schedule
        kept.share = share.name
        if let index = self.configuration.scheduleIndex(of: share.name) {
            self.configuration.snapshotSchedules[index] = kept
        } else {
            self.configuration.snapshotSchedules.append(kept)
        }
        return .done
    }

    private mutating func append(_ event: EventRecord) {
        self.events.append(event)
        if self.events.count > ClusterLimits.events {
            self.events.removeFirst(self.events.count - ClusterLimits.events)
        }
    }

    private mutating func addNode(_ node: NodeRecord, tokenHash: [UInt8]) -> CommandResult {
        guard self.tokens.contains(where: { $0.hash == tokenHash }) else { return .refused(.tokenUnknown) }
        guard self.configuration.node(named: node.name) == nil else {
            return .refused(.exists("a node with the name \(node.name)"))
        }
        if let other = self.configuration.nodes.first(where: { $0.address == node.address }) {
            return .refused(.exists("node \(other.name) with the address \(node.address)"))
        }
        guard self.configuration.nodes.count < ClusterLimits.nodes else {
            return .refused(.tooMany("nodes", limit: ClusterLimits.nodes))
        }
        self.tokens.removeAll { $0.hash == tokenHash }
        var added = node
        added.id = self.configuration.nextNodeID
        self.configuration.nextNodeID += 1
        self.configuration.nodes.append(added)
        self.configuration.quorumDisks.added(added.id)
        return .added(added)
    }

    /// A member that forgot its votes and what it acknowledged must never speak under the old id again: Raft takes it for one
    /// that crashed for good, and for a new one.
    private mutating func replaceNode(_ id: NodeID) -> CommandResult {
        guard let old = self.configuration.node(id) else { return .refused(.unknown("node with the id \(id)")) }
        guard !self.membership.contains(id) else { return .refused(.inUse("node \(old.name) is still a member")) }
        var new = old
        new.id = self.configuration.nextNodeID
        new.incarnation = 0
        new.program = nil
        new.former = (old.former + [id]).suffix(NodeRecord.formerLimit)
        self.configuration.nextNodeID += 1
        self.configuration.nodes.removeAll { $0.id == id }
        self.failedNodes.removeAll { $0 == id }
        self.configuration.nodes.append(new)
        self.configuration.quorumDisks.added(new.id)
        return .added(new)
    }

    /// Why the share would be refused; known before its folder is made.
    package func refusal(ofAdding share: ShareRecord) -> Refusal? {
        guard !self.configuration.shares.contains(where: { $0.name.lowercased() == share.name.lowercased() }) else {
            return .exists("share \(share.name)")
        }
        guard self.configuration.shares.count < ClusterLimits.shares else {
            return .tooMany("shares", limit: ClusterLimits.shares)
        }
        return nil
    }

    private mutating func addShare(_ share: ShareRecord) -> CommandResult {
        if let refusal = self.refusal(ofAdding: share) { return .refused(refusal) }
        self.configuration.shares.append(share)
        return .done
    }

    private mutating func putUser(name: String, ntHash: [UInt8]) -> CommandResult {
        if let index = self.configuration.users.firstIndex(where: { $0.name.lowercased() == name.lowercased() }) {
            self.configuration.users[index].ntHash = ntHash
            return .done
        }
        guard self.configuration.users.count < ClusterLimits.users else {
            return .refused(.tooMany("users", limit: ClusterLimits.users))
        }
        self.configuration.users.append(
            UserRecord(name: name, ntHash: ntHash, relativeID: self.configuration.nextRelativeID))
        self.configuration.nextRelativeID += 1
        return .done
    }
}

/// A snapshot: the whole state as bytes.
extension ClusterState: BinaryRecord {
    /// Always for its own version. Version 1 has a form of its own, which programs read that know no other.
    package func encode(into writer: inout BinaryWriter) {
        writer.writing(for: self.version) { writer in
            writer.write(self.version == 1 ? Self.firstFormat : Self.format)
            if self.version > 1 { writer.write(self.version.rawValue) }
            self.encodeContents(into: &writer)
        }
    }

    private func encodeContents(into writer: inout BinaryWriter) {
        writer.write(self.configuration)
        writer.write(self.membership)
        writer.write(self.active)
        writer.write(self.handover != nil)
        writer.write(self.handover ?? [])
        writer.write(UInt32(self.failedNodes.count))
        for node in self.failedNodes { writer.write(node) }
        writer.write(self.events)
        writer.write(self.tokens)
        writer.write(self.appliedIndex)
        writer.write(self.appliedTerm)
        writer.write(self.handles.nextPersistentID)
        writer.write(self.handles.orderedOpens)
        writer.write(self.handles.orderedClients)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let format = try reader.read(UInt8.self)
        guard format == Self.format || format == Self.firstFormat else {
            throw .unknownTag(kind: "state format", value: format)
        }
        let version: ClusterVersion = format == Self.firstFormat ? 1 : ClusterVersion(rawValue: try reader.read())
        // What follows may be of any form.
        guard version <= .newest else { throw .newer(version) }
        let configuration = try reader.read(ClusterConfiguration.self)
        self.init(founding: configuration, membership: try reader.read(), version: version)
        self.active = try reader.readOptional()
        let wasHandedOver = try reader.read(Bool.self)
        let handover = try reader.readArray(StepRecord.self)
        self.handover = wasHandedOver ? handover : nil
        let failed = Int(try reader.read(UInt32.self))
        guard failed <= ClusterLimits.nodes else {
            throw .tooLong(kind: "failed nodes", count: failed, limit: ClusterLimits.nodes)
        }
        for _ in 0..<failed { self.failedNodes.append(try reader.read()) }
        self.events = try reader.readArray()
        self.tokens = try reader.readArray()
        self.appliedIndex = try reader.read()
        self.appliedTerm = try reader.read()
        self.handles.apply(.reserveIDs(below: try reader.read()))
        for open in try reader.readArray(OpenRecord.self, limit: Self.opens) { self.handles.apply(.putOpen(open)) }
        for client in try reader.readArray(ClientRecord.self) { self.handles.apply(.putClient(client)) }
    }

    /// In one state: what an administrator may allow a server.
    private static let opens = Int(ServerLimit.opens.range.upperBound)
    private static let firstFormat: UInt8 = 1
    /// With the version behind it; whatever changes from now on is told by that.
    private static let format: UInt8 = 2
}

extension ClusterState {
    /// What outlives the machines, see ``ClusterBackup``.
    var forBackup: ClusterState {
        var copy = self
        copy.configuration.certificateAuthority = ""
        copy.configuration.credentials = []
        copy.active = nil
        copy.handover = nil
        copy.failedNodes = []
        copy.tokens = []
        copy.handles = HandleState()
        copy.handles.apply(.reserveIDs(below: self.handles.nextPersistentID))
        return copy
    }

    /// The first state of a cluster that is brought back, see ``Restoration``.
    func restored(
        _ configuration: ClusterConfiguration, membership: Configuration, term: Term, nextPersistentID: UInt64,
        event: EventRecord
    ) -> ClusterState {
        var copy = self.forBackup
        copy.configuration = configuration
        copy.membership = membership
        copy.handles.apply(.reserveIDs(below: nextPersistentID))
        copy.append(event)
        copy.appliedIndex += 1
        copy.appliedTerm = term
        return copy
    }

    /// Who serves, as far as a reporter in this term can say. The log's last word may be of an earlier term (nobody has served
    /// since), and of itself the reporter knows better: a node that was stopped and goes on has not heard of its successor yet.
    package func active(in term: Term, reporter: NodeID, reporterServes: Bool) -> ActiveNode? {
        guard let active = self.active, active.term == term, active.node != reporter || reporterServes else {
            return nil
        }
        return active
    }

    /// For people's eyes: no key, no password, no hash; and without the opens, which may be many.
    package func forPeople(active: ActiveNode?) -> ClusterState {
        var copy = self
        copy.active = active
        copy.configuration.certificateAuthority = ""
        copy.configuration.lun = ""
        copy.configuration.quorumDisks = QuorumDisks()
        for index in copy.configuration.users.indices { copy.configuration.users[index].ntHash = [] }
        copy.tokens = []
        copy.events = Array(copy.events.suffix(ClusterLimits.statusEvents))
        return copy.withoutOpens
    }

    /// The opens may be many; of the handles the clients stay.
    var withoutOpens: ClusterState {
        var copy = self
        copy.handles = HandleState()
        for client in self.handles.orderedClients { copy.handles.apply(.putClient(client)) }
        return copy
    }
}
