import ClusterCore
import ClusterPlatform
import ClusterStore
import ClusterTransport
import Glibc
import Logging
import Raft
import StateRecords

/// The one loop of a node: takes what happened, lets the instances decide, passes on what they say. Nothing in it blocks.
final class NodeLoop {
    /// How often time is looked at when nothing happens.
    private static let tickMilliseconds: Int64 = 10
    /// How long an orderly stop may take, from the moment on at which what was written has got to the LUN: what takes longest has
    /// no limit, because it would be lost.
    private static let stopTime = Duration.seconds(20)
    /// What the service manager is asked for, once a second as long as that lasts: `stopTime`, and room for the end itself.
    private static let stopExtension = Duration.seconds(30)
    private static let storeMilliseconds: Int32 = 10_000

    /// How a node ends that does not fail.
    private enum Ending: Sendable {
        case stopped
        case left(ClusterStore)
    }

    let mailbox: LoopMailbox
    let options: NodeOptions
    let logger: Logger
    let store: ClusterStore
    let storage: StorageWorker
    private var watchdog: WatchdogFeeder?
    private(set) var member: Member?
    /// The state of this node is lost, and the others have not taken it back yet.
    var lost: LostNode?
    private let notifier = ServiceNotifier()
    private var stopDeadline: ContinuousClock.Instant?
    private var lastWatchdog = ContinuousClock.now
    private var lastExtension = ContinuousClock.now - NodeLoop.stopExtension
    private var isPreparing = false

    private init(_ mailbox: LoopMailbox, options: NodeOptions, logger: Logger) throws(StartError) {
        self.mailbox = mailbox
        self.options = options
        self.logger = logger
        let contents: StoredContents
        do throws(StoreError) {
            let opened = try ClusterStore.open(options.folders.stateFolder, newest: options.newestVersion) {
                mailbox.post(.store($0))
            }
            contents = opened.contents
            self.store = opened.store
            self.lost = try opened.lost.map { (file) throws(StoreError) in LostNode(file) }
        } catch {
            throw StartError(message: error.description)
        }
        self.storage = StorageWorker(
            folders: options.folders, binaries: options.binaries, loop: mailbox, logger: logger)
        if let path = options.watchdog {
            do throws(PlatformError) {
                self.watchdog = try WatchdogFeeder(path: path, logger: logger)
            } catch {
                throw StartError(message: "\(error.message): start without --watchdog, or name this machine's device")
            }
        }
        if let lost = self.lost {
            try self.askToRejoin(lost)
        } else if contents.identity != nil {
            try self.begin(contents)
        }
        // Kept alive by its own thread.
        _ = try AdminServer(path: options.folders.adminSocket, loop: mailbox, logger: logger)
    }

    /// This node belongs to a cluster.
    func begin(_ contents: StoredContents) throws(StartError) {
        guard var identity = contents.identity else { return }
        try self.check(identity)
        let versions = self.options.versions
        if let problem = contents.state.flatMap({ versions.problem(with: $0) })
            ?? contents.entries.lazy.compactMap({ versions.problem(with: $0) }).first
        {
            throw StartError(message: problem.description)
        }
        identity.incarnation += 1
        self.store.submit(.identity(identity))
        self.member = try Member(
            identity: identity, contents: contents, options: self.options, mailbox: self.mailbox, store: self.store,
            storage: self.storage, logger: self.logger)
        self.store.watch(every: self.options.checkStateSeconds)
        self.member?.watchdog = self.watchdog
        // What comes in the first turn is logged before its end.
        self.member?.noteForLog()
        self.logger.notice("\(identity), start \(identity.incarnation)")
    }

    func check(_ identity: NodeIdentity) throws(StartError) {
        guard identity.name != self.options.name else { return }
        guard identity.formerName == self.options.name else {
            throw StartError(
                message: "this state directory belongs to node \(identity.name), not \(self.options.name): give the "
                    + "right --name or another --state-dir. A node gets another name by 'clusterctl node set'")
        }
        self.logger.warning(
            "this node was renamed from \(self.options.name) to \(identity.name): give its machine that name, or clusterd --name"
        )
    }

    /// Runs the node on its thread, from its start to its end.
    static func run(
        _ mailbox: LoopMailbox, options: NodeOptions, logger: Logger
    ) throws(StartError) {
        let ending: Ending
        do {
            ending = try mailbox.thread.run(every: Self.tickMilliseconds) {
                let loop = try NodeLoop(mailbox, options: options, logger: logger)
                loop.start()
                return { try loop.turn() }
            }
        } catch let error as StartError {
            throw error
        } catch {
            throw StartError(message: "\(error)")
        }
        if case .left(let store) = ending {
            // What it still writes would be taken for this node's at the next start.
            store.stopAndWait(milliseconds: Self.storeMilliseconds)
            options.folders.stateFolder.forget()
            logger.notice("left the cluster; the state is deleted")
        }
    }

    private func start() {
        if self.member == nil, self.lost == nil {
            self.logger.notice(
                "no state: waiting for 'clusterctl init' or 'clusterctl join' on \(self.options.folders.adminSocket)")
        }
        self.notifier?.ready(status: "started")
    }

    /// Takes up all that happened since the last one. Nil: the node goes on.
    private func turn() throws(StartError) -> Ending? {
        // Before anything that waited is acted upon: a process that was stopped must not act on claims that are past.
        self.member?.lookAtTime()
        for event in self.mailbox.drain() { try self.handle(event) }
        self.member?.flush()
        self.member?.settle()
        self.petWatchdog()
        if let member = self.member, let outcome = member.outcome {
            member.end()
            switch outcome {
            case .ended:
                self.watchdog?.disarm()
                return .stopped
            case .failed(let message): throw StartError(message: message)
            case .left:
                self.watchdog?.disarm()
                return .left(self.store)
            }
        }
        try self.lookAtStop(.now)
        return nil
    }

    private func lookAtStop(_ now: ContinuousClock.Instant) throws(StartError) {
        guard let deadline = self.stopDeadline else { return }
        if self.member?.takeover.isWritingBack == true {
            self.stopDeadline = now + Self.stopTime
            guard now - self.lastExtension > .seconds(1) else { return }
            self.lastExtension = now
            self.notifier?.extendStop(by: Self.stopExtension)
        } else if now > deadline {
            throw StartError(message: "the node did not stop in order within \(Self.stopTime)")
        }
    }

    private func petWatchdog() {
        self.watchdog?.turned()
        let now = ContinuousClock.now
        guard now - self.lastWatchdog > .seconds(1) else { return }
        self.lastWatchdog = now
        self.notifier?.watchdog()
    }

    private func handle(_ event: LoopEvent) throws(StartError) {
        switch event {
        case .terminate:
            self.notifier?.stopping()
            guard let member = self.member else {
                self.watchdog?.disarm()
                exit(0)
            }
            self.stopDeadline = ContinuousClock.now + Self.stopTime
            member.stop()
        case .admin(let request, let who, let answer):
            if let member = self.member { return member.administer(request, by: who, answer) }
            let answer = self.logger.audit(request, by: who, answer)
            if let lost = self.lost {
                lost.administer(request, answer)
            } else {
                self.administer(request, answer)
            }
        case .lunPrepared(let result, let parameters, let answer):
            self.isPreparing = false
            try self.lunPrepared(result, parameters, answer)
        case .restorePrepared(let result, let plan, let answer):
            self.isPreparing = false
            try self.restorePrepared(result, plan, answer)
        case .joined(let result, let parameters, let answer):
            self.isPreparing = false
            try self.joined(result, parameters, answer)
        case .rejoined(let result): try self.rejoined(result)
        case .store(.failed(let error)) where self.member == nil: throw StartError(message: error.description)
        default: self.member?.handle(event)
        }
    }

    // MARK: Before there is a cluster

    private func administer(_ request: AdminRequest, _ answer: @escaping AdminAnswer) {
        switch request {
        case .initialize(let parameters):
            if let problem = self.problem(parameters) { return answer(.failed(problem)) }
            guard self.claimPreparation(answer) else { return }
            self.logger.notice("making cluster \(parameters.clusterName): looking at the LUN")
            self.storage.tell(.prepare(parameters, answer))
        case .join(let parameters):
            if let problem = self.problem(parameters) { return answer(.failed(problem)) }
            guard self.claimPreparation(answer) else { return }
            let mailbox = self.mailbox
            let program = self.options.program
            startThread("join") { mailbox.post(.joined(Joining.ask(parameters, program), parameters, answer)) }
        case .restore(let parameters): self.restore(parameters, answer)
        case .checkStorage(let lun) where !lun.isEmpty: StorageCheck.run(lun, answer)
        default:
            answer(
                .failed(
                    AdminFailure(
                        .wrongState,
                        "this node is in no cluster: make one with 'clusterctl init', or join one with 'clusterctl join'"
                    )))
        }
    }

    func claimPreparation(_ answer: AdminAnswer) -> Bool {
        guard !self.isPreparing else {
            answer(.failed(AdminFailure(.unavailable, "another init or join is under way on this node: wait for it")))
            return false
        }
        self.isPreparing = true
        return true
    }

    private func problem(_ parameters: InitializeParameters) -> AdminFailure? {
        if let problem = Names.problem(clusterName: parameters.clusterName)
            ?? Names.problem(nodeName: parameters.nodeName) ?? Names.problem(nodeAddress: parameters.address)
        {
            return AdminFailure(.refused, problem)
        }
        guard parameters.nodeName == self.options.name else {
            return AdminFailure(
                .refused, "clusterd runs as node \(self.options.name), not \(parameters.nodeName): use the same name")
        }
        guard self.options.role == .data else {
            return AdminFailure(.refused, "this clusterd runs with --role witness: make the cluster on a data node")
        }
        do throws(PlatformError) {
            let lun = try LUNAddress(parameters.lun)
            if !parameters.quorumLUN.isEmpty, try LUNAddress(parameters.quorumLUN).isSame(as: lun) {
                return AdminFailure(.refused, "the quorum disk must be a LUN of its own, not the one with the files")
            }
            _ = try VirtualAddress(parameters.virtualIP, interface: parameters.interface)
            try self.requireMeans(interface: parameters.interface, formats: parameters.formats)
        } catch {
            return AdminFailure(.refused, error.message)
        }
        return nil
    }

    /// What this machine must have, and would be missed only when it is too late: the interface at the first takeover,
    /// mkfs.xfs when the fence is taken.
    func requireMeans(interface: String, formats: Bool) throws(PlatformError) {
        try NetworkInterface.require(self.options.interface ?? interface)
        if formats { try XFS.requireMaker() }
    }

    private func problem(_ parameters: JoinParameters) -> AdminFailure? {
        if let problem = Names.problem(nodeName: parameters.nodeName) ?? Names.problem(nodeAddress: parameters.address)
            ?? Names.problem(nodeAddress: parameters.member)
        {
            return AdminFailure(.refused, problem)
        }
        guard parameters.nodeName == self.options.name else {
            return AdminFailure(
                .refused, "clusterd runs as node \(self.options.name), not \(parameters.nodeName): use the same name")
        }
        guard self.options.role == .data || parameters.role == .witness else {
            return AdminFailure(.refused, "this clusterd runs with --role witness: join with --role witness, too")
        }
        // A witness has no address to raise.
        guard parameters.role == .data else { return nil }
        do throws(PlatformError) {
            try self.requireMeans(interface: parameters.interface, formats: false)
        } catch {
            return AdminFailure(.refused, error.message)
        }
        return nil
    }

    private func lunPrepared(
        _ result: Result<FilesystemID, PlatformError>, _ parameters: InitializeParameters,
        _ answer: @escaping AdminAnswer
    ) throws(StartError) {
        let filesystem: FilesystemID
        switch result {
        case .failure(let error): return answer(.failed(AdminFailure(.storage, error.message)))
        case .success(let id): filesystem = id
        }
        let authority: CertificateAuthority
        let credentials: NodeCredentials
        do throws(CertificateError) {
            authority = try CertificateAuthority(clusterName: parameters.clusterName)
            credentials = try authority.issue(nodeName: parameters.nodeName, nodeID: 1)
        } catch {
            return answer(.failed(AdminFailure(.refused, "the cluster's certificates cannot be made: \(error)")))
        }
        let node = NodeRecord(
            id: 1, name: parameters.nodeName, address: parameters.address, role: .data,
            interface: parameters.interface, incarnation: 0, program: self.options.program)
        let configuration = ClusterConfiguration(
            name: parameters.clusterName, guid: GUID16(low: .random(in: 1 ... .max), high: .random(in: 1 ... .max)),
            domain: (0..<3).map { _ in UInt32.random(in: 1 ... .max) }, certificateAuthority: authority.pem,
            nodes: [node], virtualIPs: [parameters.virtualIP], lun: parameters.lun, fileSystem: filesystem.bytes)
        let membership = Configuration(voters: [1])
        let state = ClusterState(
            founding: configuration, membership: membership, version: self.options.newestVersion)
        let base = Snapshot(
            index: ClusterState.foundingIndex, term: ClusterState.foundingTerm, configuration: membership)
        let hardState = HardState(term: ClusterState.foundingTerm, commitIndex: ClusterState.foundingIndex)
        let identity = NodeIdentity(
            id: 1, name: parameters.nodeName, clusterName: parameters.clusterName, address: parameters.address,
            role: .data, certificatePEM: credentials.certificatePEM, keyPEM: credentials.keyPEM,
            authorityPEM: credentials.authorityPEM)
        self.store.submit(.found(base: base, hardState, state))
        var contents = StoredContents()
        contents.identity = identity
        contents.hardState = hardState
        contents.base = base
        contents.state = state
        try self.begin(contents)
        self.member?.whenSettled(seconds: 15) { [weak self] done in
            if done, !parameters.quorumLUN.isEmpty {
                self?.member?.administer(
                    .replaceQuorumDisk(lun: parameters.quorumLUN, forces: parameters.forces)
                ) { answer($0.ofQuorumDisk(madeWith: parameters.clusterName)) }
            } else if done {
                answer(.made(cluster: parameters.clusterName))
            } else {
                answer(
                    .failed(
                        AdminFailure(
                            .unavailable,
                            "the cluster is made, but has no leader yet: see clusterd's log"
                                + (parameters.quorumLUN.isEmpty ? "" : "; then 'clusterctl quorum replace URL'"))))
            }
        }
    }

    private func joined(
        _ result: Result<JoinReply, AdminFailure>, _ parameters: JoinParameters, _ answer: @escaping AdminAnswer
    ) throws(StartError) {
        let reply: JoinReply
        switch result {
        case .failure(let failure): return answer(.failed(failure))
        case .success(let value): reply = value
        }
        switch reply {
        case .refused(let failure): answer(.failed(failure))
        case .redirect(let address):
            answer(.failed(AdminFailure(.unavailable, "the leadership is moving (to \(address)): try again")))
        case .accepted(let node, let clusterName, let certificate, let key, let authority, let peers):
            var contents = StoredContents()
            contents.identity = NodeIdentity(
                id: node.id, name: node.name, clusterName: clusterName, address: node.address, role: node.role,
                certificatePEM: certificate, keyPEM: key, authorityPEM: authority, peers: peers)
            try self.begin(contents)
            self.member?.whenSettled(seconds: 30) { done in
                answer(
                    .done(
                        done
                            ? "node \(node.name) is a \(node.role.name) node of cluster \(clusterName) and votes"
                            : "node \(node.name) joined cluster \(clusterName) and is still catching up: "
                                + "'clusterctl status' shows when it votes"))
            }
        }
    }
}

extension FilesystemID {
    var bytes: [UInt8] {
        var writer = BinaryWriter()
        writer.write(self.high)
        writer.write(self.low)
        return writer.bytes
    }

    init?(bytes: [UInt8]) {
        var reader = BinaryReader(bytes)
        guard let high = try? reader.read(UInt64.self), let low = try? reader.read(UInt64.self) else { return nil }
        self.init(high: high, low: low)
    }
}

/// The joining side, on a thread of its own.
enum Joining {
    private static let redirects = 3

    static func ask(_ parameters: JoinParameters, _ program: NodeProgram) -> Result<JoinReply, AdminFailure> {
        let token: JoinToken
        do throws(JoinToken.ParseError) {
            token = try JoinToken(parsing: parameters.token)
        } catch {
            return .failure(
                AdminFailure(
                    .refused,
                    error == .damaged
                        ? "the join token is damaged: copy it whole, as 'clusterctl token' printed it"
                        : "this is not a join token: it begins with hf1-; make one with 'clusterctl token' on a member")
            )
        }
        let record = NodeRecord(
            id: 0, name: parameters.nodeName, address: parameters.address, role: parameters.role,
            interface: parameters.interface, program: program)
        let request = JoinRequest(secret: token.secret, node: record).encoded
        var member = parameters.member
        for _ in 0..<Self.redirects {
            guard let endpoint = Endpoint(member) else {
                return .failure(AdminFailure(.refused, "the member's address \(member) is not HOST:PORT"))
            }
            let bytes: [UInt8]
            do throws(TransportError) {
                bytes = try Transport.requestJoining(
                    request, to: endpoint, fingerprint: token.fingerprint, timeout: .seconds(20))
            } catch {
                return .failure(Self.failure(error))
            }
            guard let reply = try? JoinReply(decoding: bytes) else {
                return .failure(AdminFailure(.refused, "\(member) runs another version: use the same on all nodes"))
            }
            guard case .redirect(let address) = reply else { return .success(reply) }
            member = address
        }
        return .failure(AdminFailure(.unavailable, "no leader was found: try again in a few seconds"))
    }

    private static func failure(_ error: TransportError) -> AdminFailure {
        switch error {
        case .notTrusted(let address, _):
            AdminFailure(
                .refused,
                "\(address) is not of the cluster that made this token: check the address, or make a new token there "
                    + "with 'clusterctl token'")
        case .unreachable(let address, let reason):
            AdminFailure(
                .unavailable, "\(address) cannot be reached (\(reason)): is clusterd running there, is the port open?")
        case .noAnswer(let address): AdminFailure(.unavailable, "\(address) gave no answer: see clusterd's log there")
        case .cannotListen(let address, let reason): AdminFailure(.unavailable, "\(address): \(reason)")
        case .credentials(let what): AdminFailure(.refused, what)
        }
    }
}
