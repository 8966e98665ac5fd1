import ClusterCore
import ClusterPlatform
import ClusterStore
import ClusterTransport
import Glibc
import Logging
import QuorumDisk
import Raft
import StateRecords

/// A node that belongs to a cluster. Lives on the loop's thread; its workers have theirs.
final class Member {
    enum Outcome {
        case ended
        case failed(String)
        case left
    }

    enum Limits {
        /// Entries that the log keeps behind the applied index for a node that was away for a moment.
        static let keptEntries: LogIndex = 2048
        /// Applied entries after which the log is cut.
        static let compactEntries: LogIndex = 8192
        static let compactBytes = 64 << 20
        static let maintenance = Duration.milliseconds(200)
        /// A checkpoint that the quorum disk has not acknowledged so long after it took the last of it is made anew.
        static let checkpointTime = Duration.seconds(5)
        /// And one that was longer than the disk has room for: to encode it costs as much as if it did fit.
        static let refusedCheckpointTime = Duration.seconds(30)
        /// Of the log that is kept for nodes to which a state is on its way. Beyond it they need another one.
        static let heldLogBytes = 256 << 20
        /// How often the state's length is compared with what the quorum disk holds.
        static let roomInterval = Duration.seconds(10)
        /// A node that has just come back is waited for as long, before a move to it and before the end of an upgrade.
        static let readyTime = Duration.seconds(5)
        /// And until it serves, once it leads.
        static let moveServingTime = Duration.seconds(20)
        /// Whoever asked for a move is told by then that it goes on: what was written may take minutes to get to the LUN. Less than
        /// a node waits for the leader's answer to what it passed on.
        static let moveAnswerTime = Duration.seconds(60)
        /// How long a share's folder and the server may take before whoever adds the share is told that they have not.
        static let shareTime = Duration.seconds(20)
        /// Shares that are being added at a time; more are refused.
        static let pendingShares = 64
        /// What a node said of its path to the LUN counts for so long: more than a look at a silent target takes.
        static let reachMilliseconds: UInt64 = 5000
    }

    var identity: NodeIdentity
    let options: NodeOptions
    let logger: Logger
    let mailbox: LoopMailbox
    let store: ClusterStore
    let storage: StorageWorker
    let network: NetworkWorker?
    let quorumWorker: QuorumWorker
    private let probe: TargetProbe?
    let server: ServerWorker?
    let flusher: FlushWorker?
    let transport: Transport
    private let handler: PeerHandler
    /// The same moment twice, the first not after the second.
    private let startedBootMicroseconds = bootMicroseconds()
    private let started = ContinuousClock.now

    var raft: RaftNode
    /// This node's side of the quorum disk in Raft's configuration.
    var disk: DiskVoter?
    var diskMemory: DiskMemory?
    /// Values of it that this start of the node had: a change that is undone brings the disk back.
    var diskLives: UInt64 = 0
    /// What waits until the Raft core has finished its step.
    var diskEvents: [DiskEvent] = []
    var isSteppingDisk = false
    /// This start's number must not be given again once the disk has seen it.
    var identityIsStored = false
    /// What the disk has room for, as of the last look.
    var quorumRoom: CheckpointRoom?
    var lastRoomLook = ContinuousClock.now
    /// One change of the quorum disk at a time: a LUN is being prepared, or the change proposed, or waited for.
    var preparesQuorumDisk = false
    var proposesQuorumDisk = false
    var quorumAnswer: (deadline: ContinuousClock.Instant, number: NodeID, answer: AdminAnswer)?
    /// nil on a node that joined, until the leader's state has arrived.
    var state: ClusterState?
    var settings: ClusterSettings
    var takeover: Takeover
    var outcome: Outcome?

    // Raft's shell.
    var raftEvents: [Raft.Event] = []
    var isStepping = false
    var nextToken: UInt64 = 1
    /// Links with something that was said in this turn.
    var unflushed: [(node: NodeID, messageClass: MessageClass)] = []
    var proposals: [UInt64: (ProposalOutcome) -> Void] = [:]
    /// Those of them that are the server's: it must know for certain, however long that takes.
    var journalProposals: Set<UInt64> = []
    /// What is waited for from the leader: answered once, also when it leads no more.
    var forwarded: [UInt64: ForwardedRequest] = [:]
    var nextForward: UInt64 = 1
    var reads: [UInt64: (Bool) -> Void] = [:]
    var results: [LogIndex: CommandResult] = [:]
    var incoming: ClusterState?
    var collector = SnapshotCollector()
    /// States on their way to other nodes, and those that are being encoded: the last entry of each.
    var transfers: [NodeID: SnapshotTransfer] = [:]
    var encodings: [NodeID: LogIndex] = [:]
    /// The last one that the quorum disk was given.
    var checkpoint: (moved: ContinuousClock.Instant, index: LogIndex)?
    /// The last vote of the disk whose checkpoint is being decoded; and the last that was.
    var checkpointVote: DiskVote?
    var foundState: (base: Snapshot, state: ClusterState)?
    var bytesSinceCompaction = 0
    var establishedTerm: Term = 0
    var heardLeader: Tick = 0
    var suspects: [NodeID: Tick] = [:]

    // The rest of the node.
    var takeoverEvents: [Takeover.Event] = []
    var isTakingOver = false
    var lease = false
    /// The end of the lease that the server was told, in ticks.
    private var toldLeaseEnd: Tick = 0
    /// The last one that the core was told of.
    private var lastTick = Tick.max
    var heirs: [NodeID] = []
    var reaching: [NodeID] = []
    /// This node's ways to the LUN, as its configuration lists them.
    var paths: [(portal: String, reach: Reach)] = []
    var usedPath: String?
    /// The machine's, where one is used; and the teardown that it waits for.
    var watchdog: WatchdogFeeder?
    var tearingDown: Takeover.Operation?
    var reaches: [NodeID: (reach: Reach, heard: Tick)] = [:]
    var announcedConfiguration: ClusterConfiguration?
    /// As leader: what is proposed of a node and not applied yet.
    var proposedRecords: [NodeID: NodeRecord] = [:]
    private var announcedInterface: String?
    /// Counts the configurations whose shares' folders the storage thread was told to make.
    var foldersRevision: UInt64 = 0
    /// The oldest first.
    var pendingShares: [PendingShare] = []
    /// What the others said of their programs, as long as this process lives: nil where one said that it is a node, and no more.
    var said: [NodeID: NodeProgram?] = [:]
    /// Those that said it since the link to them came up.
    var saidNow: Set<NodeID> = []
    var introducedLast = ContinuousClock.now
    /// Nodes whose programs are too old for the cluster, as was logged.
    var shutOut: Set<NodeID> = []
    /// This program cannot run what the cluster runs: nothing is applied any more.
    var isBlocked = false
    /// Members that joined after the state that this node has, as they introduced themselves.
    var newcomers: [NodeID: Endpoint] = [:]
    var fenceText = "not held by this node"
    var serverStatus: ServerStatus?
    /// Clients of the server before the present one.
    var tickleList: [ClientRecord] = []
    /// Those that the present one accepted.
    var connectedClients: Set<ClientRecord> = []
    /// What the server recorded and no entry was made of.
    var journalQueue = JournalQueue()
    /// Batches of the term's servers that are neither applied nor dropped.
    var journals: (epoch: Term, underWay: Int) = (0, 0)
    /// Waits for these.
    var waitingServe: (operation: Takeover.Operation, epoch: Term)?
    /// The last server of which a batch was refused.
    var refusedGeneration: UInt64 = 0
    var pendingMove: PendingMove?
    var pendingUpgrade: PendingUpgrade?
    var settled: (deadline: ContinuousClock.Instant, answer: (Bool) -> Void)?
    var tokensSeen: [[UInt8]: ContinuousClock.Instant] = [:]
    var expiring: Set<[UInt8]> = []
    var changing = false
    var leaving: Set<NodeID> = []
    var hasToldStart = false
    var certificate = CertificateWatch()
    var lastMaintenance = ContinuousClock.now
    var isStopping = false
    var fatal: String?
    /// A drill plays that the network and the quorum disk are gone.
    var deafUntil: ContinuousClock.Instant?
    /// What is wrong with the file of the state, while this node goes on from memory.
    var stateDamage: String?
    /// Nodes that lost their state and are being taken back, by the id that they had, and why.
    var rejoining: [NodeID: String] = [:]

    enum ProposalOutcome {
        case applied(CommandResult)
        case dropped(DropReason)
    }

    init(
        identity: NodeIdentity, contents: StoredContents, options: NodeOptions, mailbox: LoopMailbox,
        store: ClusterStore, storage: StorageWorker, logger: Logger
    ) throws(StartError) {
        self.identity = identity
        self.options = options
        self.mailbox = mailbox
        self.store = store
        self.storage = storage
        self.logger = logger
        self.settings = contents.state?.configuration.settings ?? ClusterSettings()
        self.state = contents.state
        self.raft = RaftNode(
            id: identity.id, hardState: contents.hardState, snapshot: contents.base, entries: contents.entries,
            appliedIndex: contents.state?.appliedIndex ?? 0, limits: self.settings.raftLimits(for: identity.role),
            now: 0)
        self.takeover = Takeover(node: identity.id, role: identity.role)
        self.diskMemory = try? DiskMemory(decoding: contents.quorumMemory)
        self.quorumWorker = QuorumWorker(loop: mailbox, logger: logger)
        self.handler = PeerHandler(mailbox)
        let credentials = NodeCredentials(
            certificatePEM: identity.certificatePEM, keyPEM: identity.keyPEM, authorityPEM: identity.authorityPEM)
        guard let listen = Endpoint(options.listen) else {
            throw StartError(message: "--listen \(options.listen) is not HOST:PORT")
        }
        do throws(TransportError) {
            self.transport = try Transport(
                credentials: credentials, ownID: identity.id, handler: self.handler, logger: logger,
                thread: mailbox.thread)
            try self.transport.listen(on: listen)
        } catch {
            throw StartError(message: "the links between the nodes: \(error)")
        }
        if identity.role == .data {
            self.network = NetworkWorker(loop: mailbox, logger: logger)
            self.probe = TargetProbe(loop: mailbox, logger: logger)
            self.server = ServerWorker(binaries: options.binaries, loop: mailbox, logger: logger)
            self.flusher = FlushWorker(folders: options.folders, loop: mailbox, logger: logger)
        } else {
            self.network = nil
            self.probe = nil
            self.server = nil
            self.flusher = nil
        }
        self.announceConfiguration()
    }

    var tick: Tick { (ContinuousClock.now - self.started).microseconds / 1000 }
    var moment: Moment { (ContinuousClock.now - self.started).microseconds }

    func name(of id: NodeID) -> String { self.state?.configuration.node(id)?.name ?? "node \(id)" }

    func end() {
        self.transport.stop()
    }

    func stop() {
        self.isStopping = true
        self.decide(.stop)
    }

    /// Calls `answer` when a founder leads, or a joined node votes; or when the time is up.
    func whenSettled(seconds: Int, _ answer: @escaping (Bool) -> Void) {
        self.settled = (ContinuousClock.now + .seconds(seconds), answer)
    }

    // MARK: The loop

    /// First in every turn.
    func lookAtTime() {
        let now = self.tick
        let start = self.raft.leaseStart
        let held = start.map { now - min(now, $0) < UInt64(self.settings.leaseMilliseconds) } ?? false
        if held != self.lease {
            self.lease = held
            self.decide(.lease(held))
        }
        if held, let start { self.extendServersLease(now, from: start) }
        // Turns follow each other faster than the core's clock.
        guard now != self.lastTick else { return }
        self.lastTick = now
        self.step(.tick(random: .random(in: .min ... .max)))
        self.stepDisk(.tick)
    }

    /// The server may be asked by clients while this process hangs: it knows by itself when its right to answer ends.
    private func extendServersLease(_ now: Tick, from start: Tick) {
        let length = UInt64(self.settings.leaseMilliseconds)
        let end = min(start, now) + length
        guard end >= self.toldLeaseEnd + length / 16 else { return }
        self.toldLeaseEnd = end
        let until = self.startedBootMicroseconds + end * 1000
        self.server?.tell(.lease(until: until))
        self.network?.tell(.lease(until: until))
    }

    func handle(_ event: LoopEvent) {
        switch event {
        case .peerMessage(let node, let message): self.received(message, from: node)
        case .stateEncoded(let node, let snapshot, let state): self.stateEncoded(node, snapshot, state)
        case .stateDecoded(let result, let source): self.stateDecoded(result, source)
        case .peerConnected(let node):
            self.logger.info("connected to \(self.name(of: node))")
            self.suspects[node] = nil
            self.introduce(to: node)
        case .peerDisconnected(let node):
            self.logger.info("the link to \(self.name(of: node)) broke")
            self.saidNow.remove(node)
            if node == self.raft.leader { self.suspects[node] = self.tick }
        case .store(.persisted(let sequence)): self.step(.persisted(sequence: sequence))
        case .store(.failed(let error)):
            self.logger.critical("\(error)")
            self.fatal = error.description
            self.step(.storageFailed)
        case .store(.lossNoted): self.fatal = self.fatal ?? "the state is taken anew from the other nodes"
        case .store(.damaged(let what)): self.stateIsDamaged(what)
        case .store(.identityStored(let incarnation)):
            if incarnation == self.identity.incarnation { self.identityIsStored = true }
        case .diskDone(let number, let batch, let results):
            guard self.disk?.number == number else { break }
            self.stepDisk(results.map { DiskEvent.completed(batch: batch, $0) } ?? .failed(batch: batch))
        case .storageAddressChecked(.failure(let error), let answer):
            answer(.failed(AdminFailure(error.kind == .invalid ? .refused : .storage, error.message)))
        case .storageAddressChecked(.success(let lun), let answer): self.setStorageAddress(lun, answer)
        case .quorumLUNFound(let identity, let order, let verdict): self.quorumLUNFound(identity, order, verdict)
        case .quorumDiskPrepared(let result, let order, let answer): self.quorumDiskPrepared(result, order, answer)
        case .takeover(let event):
            if case .finished(let operation, _) = event, operation == self.tearingDown {
                self.tearingDown = nil
                self.watchdog?.gaveUp()
            }
            self.decide(event)
        case .fence(let text): self.fenceText = text
        case .probed(let path, let reach): self.probed(path, reach)
        case .usedPath(let portal): self.usedPath = portal
        case .foldersMade(let revision, let failures):
            // A newer configuration's are under way: the server must not be told of a share before its folder is there.
            guard revision == self.foldersRevision else { break }
            self.configureServer()
            self.foldersMade(failures)
        case .journal(let batch): self.journal(batch)
        case .serverStatus(let status): self.serverStatus = status
        case .forwarded(let node, let request, let answer): self.forwarded(request, by: node, answer)
        case .forwardAnswered(let number, let reply): self.forwarded.removeValue(forKey: number)?.answer(reply)
        case .administered(let administrator, let request, let answer):
            self.administer(request, by: administrator, answer)
        case .renewed(let credentials, let answer): self.take(credentials, answer)
        case .joinRequest(let request, let reply): self.joinRequested(request, reply)
        case .left: self.outcome = .left
        case .audited(let line): self.audited(line)
        case .admin, .lunPrepared, .restorePrepared, .joined, .rejoined, .terminate: break
        }
    }

    /// Last in every turn: what follows from where things stand now.
    func settle() {
        self.noteForLog()
        defer { self.noteForLog() }
        self.proposeJournal()
        self.sendStates()
        self.lookAtSuspects()
        if self.establishedTerm != self.raft.term, self.raft.isEstablishedLeader, let state = self.state,
            state.appliedTerm == self.raft.term
        {
            self.establishedTerm = self.raft.term
            self.updateHeirs()
            self.updateLatePeers()
            self.decide(.predecessor(handedOver: state.handover != nil, steps: state.handover ?? []))
            self.decide(.ownTermApplied(self.raft.term))
        }
        let now = ContinuousClock.now
        if now - self.lastMaintenance >= Limits.maintenance {
            self.lastMaintenance = now
            self.maintain(now)
        }
        self.lookAtMove(now)
        self.lookAtShares(now)
        self.lookAtUpgrade(now)
        self.decide(.tick)
        if let fatal = self.fatal, self.takeover.phase == .standby { self.outcome = .failed(fatal) }
    }

    private func maintain(_ now: ContinuousClock.Instant) {
        self.updateHeirs()
        self.updateLatePeers()
        self.reconcileQuorumDisk()
        self.lookAtQuorumRoom(now)
        self.lookAtQuorumAnswer(now)
        if self.raft.isEstablishedLeader {
            self.reconcileMembership()
            self.expireTokens(now)
        }
        self.introduceAgain(now)
        self.giveUpForwarded(now)
        self.tellStart()
        self.giveUpDamagedState()
        self.lookAtCertificate(now)
        self.compact()
        self.resendSnapshots(now)
        if self.takeover.isServing { self.server?.tell(.askStatus(isLUNReachable: self.takeover.isLUNReachable)) }
        if let settled = self.settled {
            let isDone =
                self.state != nil && self.raft.configuration.isVoter(self.identity.id)
                && (self.raft.isLeader ? self.raft.isEstablishedLeader : self.raft.leader != nil)
            if isDone || now > settled.deadline {
                self.settled = nil
                settled.answer(isDone)
            }
        }
    }

    // MARK: Configuration

    /// Tells everything that works by the configuration what it is now.
    func announceConfiguration() {
        let configuration = self.state?.configuration
        if let configuration { self.adoptOwnRecord(configuration) }
        let nodes = configuration?.nodes ?? self.identity.peers
        if configuration == nil || configuration?.nodes != self.announcedConfiguration?.nodes {
            var peers: [NodeID: Endpoint] = [:]
            for node in nodes where node.id != self.identity.id { peers[node.id] = Endpoint(node.address) }
            self.newcomers = self.newcomers.filter { $0.key >= configuration?.nextNodeID ?? 0 }
            self.transport.setPeers(peers.merging(self.newcomers) { known, _ in known })
            if configuration != nil {
                self.identity.peers = nodes
                self.store.submit(.identity(self.identity))
            }
        }
        guard let configuration, configuration != self.announcedConfiguration else { return }
        let earlier = self.announcedConfiguration
        self.announcedConfiguration = configuration
        guard self.identity.role == .data else { return }
        // Configuring drops the addresses: not for a record that only tells the others what this node does already.
        let interface = self.options.interface ?? configuration.node(self.identity.id)?.interface ?? ""
        if earlier?.virtualIPs != configuration.virtualIPs || interface != self.announcedInterface {
            self.announcedInterface = interface
            self.network?.tell(.configure(virtualIPs: configuration.virtualIPs, interface: interface))
        }
        let isOtherStorage = earlier?.lun != configuration.lun || earlier?.fileSystem != configuration.fileSystem
        if isOtherStorage || earlier?.nodes != configuration.nodes {
            let others = configuration.nodes.filter { $0.role == .data && $0.id != self.identity.id }.map {
                (UInt16(truncatingIfNeeded: $0.id), $0.name)
            }
            self.storage.tell(
                .configure(
                    lun: configuration.lun, nodeName: self.identity.name,
                    node: UInt16(truncatingIfNeeded: self.identity.id),
                    filesystem: FilesystemID(bytes: configuration.fileSystem) ?? FilesystemID(high: 0, low: 0),
                    others: Dictionary(others) { first, _ in first }))
        }
        if isOtherStorage {
            let address = try? LUNAddress(configuration.lun)
            self.paths = self.probe == nil ? [] : (address?.portals ?? []).map { ("\($0)", .unknown) }
            self.probe?.look(
                at: address, nodeName: self.identity.name, node: UInt16(truncatingIfNeeded: self.identity.id))
        }
        // The server opens a share's folder when it is told of the share: the folder has to be there first.
        self.makeFolders()
    }

    private func configureServer() {
        guard let configuration = self.announcedConfiguration else { return }
        self.server?.tell(
            .configure(
                configuration.server(mountPoint: self.options.folders.mount),
                listen: configuration.virtualIPs.map { String($0.prefix { $0 != "/" }) }))
    }
}
