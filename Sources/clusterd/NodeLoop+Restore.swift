import ClusterCore
import ClusterPlatform
import ClusterStore
import ClusterTransport
import Glibc
import Raft
import StateRecords

/// What `clusterctl restore` asks for, read.
struct RestorePlan: Sendable {
    var parameters: RestoreParameters
    var backup: ClusterBackup
    var virtualIPs: [String]
    var lun: String
    var fileSystem: FilesystemID
    /// For the session that looks at the LUN.
    var node: UInt16
}

struct RestoredLUN: Sendable {
    var fileSystem: FilesystemID
    /// 0: it carries no key of a node.
    var newestTerm: UInt32
}

extension Member {
    func backup(isConfirmed: Bool, _ answer: @escaping AdminAnswer) {
        guard let state = self.state else { return answer(.failed(self.noLeader)) }
        let bytes = ClusterBackup(
            of: state, node: self.identity.name, unixMilliseconds: unixMilliseconds(), isConfirmed: isConfirmed,
            term: self.raft.term
        ).bytes
        guard bytes.count <= ClusterBackup.longest else {
            return answer(
                .failed(AdminFailure(.refused, "the configuration takes \(bytes.count) bytes, more than a backup may")))
        }
        answer(.backup(bytes))
    }
}

/// A cluster of which no node is left goes on from a backup, with this one.
extension NodeLoop {
    func restore(_ parameters: RestoreParameters, _ answer: @escaping AdminAnswer) {
        let plan: RestorePlan
        switch self.plan(parameters) {
        case .failure(let problem): return answer(.failed(problem))
        case .success(let value): plan = value
        }
        guard self.claimPreparation(answer) else { return }
        self.logger.notice("restoring cluster \(plan.backup.state.configuration.name): looking at the LUN")
        self.storage.tell(.prepareRestore(plan, answer))
    }

    private func plan(_ parameters: RestoreParameters) -> Result<RestorePlan, AdminFailure> {
        func refused(_ problem: String) -> Result<RestorePlan, AdminFailure> {
            .failure(AdminFailure(.refused, problem))
        }
        let backup: ClusterBackup
        do throws(ClusterBackup.Unreadable) {
            backup = try ClusterBackup(parsing: parameters.backup)
        } catch {
            return refused("\(error)")
        }
        let configuration = backup.state.configuration
        if let refusal = self.options.versions.refusal(ofJoining: "this node", to: backup.state.version) {
            return .failure(refusal)
        }
        if let problem = Names.problem(nodeName: parameters.nodeName) ?? Names.problem(nodeAddress: parameters.address)
        {
            return refused(problem)
        }
        guard parameters.nodeName == self.options.name else {
            return refused(
                "clusterd runs as node \(self.options.name), not \(parameters.nodeName): use the same name")
        }
        guard self.options.role == .data else {
            return refused("this clusterd runs with --role witness: restore on a data node")
        }
        guard let fileSystem = FilesystemID(bytes: configuration.fileSystem) else {
            return refused("the backup names no file system")
        }
        let virtualIPs = parameters.virtualIP.isEmpty ? configuration.virtualIPs : [parameters.virtualIP]
        let lun = parameters.lun.isEmpty ? configuration.lun : parameters.lun
        do throws(PlatformError) {
            _ = try LUNAddress(lun)
            for address in virtualIPs { _ = try VirtualAddress(address, interface: parameters.interface) }
            try self.requireMeans(interface: parameters.interface, formats: parameters.formats)
        } catch {
            return refused(error.message)
        }
        return .success(
            RestorePlan(
                parameters: parameters, backup: backup, virtualIPs: virtualIPs, lun: lun, fileSystem: fileSystem,
                node: UInt16(clamping: configuration.nextNodeID + Restoration.nodeIDsSkipped)))
    }

    func restorePrepared(
        _ result: Result<RestoredLUN, PlatformError>, _ plan: RestorePlan, _ answer: @escaping AdminAnswer
    ) throws(StartError) {
        let found: RestoredLUN
        switch result {
        case .failure(let error): return answer(.failed(AdminFailure(.storage, error.message)))
        case .success(let value): found = value
        }
        let backup = plan.backup
        let name = backup.state.configuration.name
        let node = NodeRecord(
            id: 0, name: plan.parameters.nodeName, address: plan.parameters.address, role: .data,
            interface: plan.parameters.interface)
        let event = EventRecord(
            kind: .restored, node: 0, term: 0, unixMilliseconds: unixMilliseconds(),
            detail: "from a backup of entry \(backup.state.appliedIndex), term \(backup.term), made on \(backup.node)")
        let restoration: Restoration
        let credentials: NodeCredentials
        do throws(CertificateError) {
            let authority = try CertificateAuthority(clusterName: name)
            guard
                let possible = Restoration(
                    backup, node: node, authority: authority.pem, virtualIPs: plan.virtualIPs, lun: plan.lun,
                    fileSystem: found.fileSystem.bytes, newestTerm: Term(found.newestTerm), event: event)
            else {
                return answer(
                    .failed(AdminFailure(.refused, "the terms or numbers of this cluster are used up: make a new one")))
            }
            restoration = possible
            credentials = try authority.issue(nodeName: possible.node.name, nodeID: possible.node.id)
        } catch {
            return answer(.failed(AdminFailure(.refused, "the cluster's certificates cannot be made: \(error)")))
        }
        let identity = NodeIdentity(
            id: restoration.node.id, name: node.name, clusterName: name, address: node.address, role: .data,
            certificatePEM: credentials.certificatePEM, keyPEM: credentials.keyPEM,
            authorityPEM: credentials.authorityPEM)
        self.store.submit(.found(base: restoration.base, restoration.hardState, restoration.state))
        var contents = StoredContents()
        contents.identity = identity
        contents.hardState = restoration.hardState
        contents.base = restoration.base
        contents.state = restoration.state
        try self.begin(contents)
        self.logger.notice("cluster \(name) begins anew \(event.detail), in term \(restoration.hardState.term)")
        let handles = backup.handles
        let dropped = Int(handles.persistent) + Int(handles.durable)
        self.member?.whenSettled(seconds: 15) { done in
            answer(
                done
                    ? .done(
                        "cluster \(name) is brought back as of entry \(backup.state.appliedIndex), with this machine as its "
                            + "only node. Dropped: whatever clients had open (\(dropped) handles, \(handles.locks) locks and "
                            + "\(handles.leases) leases when the backup was made), which they open anew; join tokens; the "
                            + "certificates of the old nodes. Next: 'clusterctl token' for each further node, "
                            + "'clusterctl quorum replace --force' where there was a quorum disk")
                    : .failed(
                        AdminFailure(.unavailable, "the cluster is restored, but has no leader yet: see clusterd's log")
                    ))
        }
    }
}
