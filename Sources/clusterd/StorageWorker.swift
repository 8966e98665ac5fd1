import ClusterCore
import ClusterPlatform
import ClusterStore
import Fencing
import Glibc
import Logging
import StateRecords

/// The thread that owns the LUN: fence, attach, detach, teardown. Whatever waits for the target waits here, or where nothing else
/// waits for it: `FolderWorker`, `FlushWorker`.
final class StorageWorker: Sendable {
    enum Order: Sendable {
        /// `others`: the other data nodes' names, as their initiators have them.
        case configure(
            lun: String, nodeName: String, node: UInt16, filesystem: FilesystemID, others: [UInt16: String])
        case takeFence(Takeover.Operation, term: UInt32)
        case attach(Takeover.Operation, term: UInt32)
        case restartBridge(Takeover.Operation)
        case allowRetake
        case refuseRetake
        case detach(Takeover.Operation, term: UInt32)
        case tearDown(Takeover.Operation)
        case prepare(InitializeParameters, AdminAnswer)
        case prepareRestore(RestorePlan, AdminAnswer)
        /// The LUN may have another size.
        case grow(AdminAnswer)
        /// Answered with ``LoopEvent/foldersMade``, also where the LUN is not attached.
        case makeFolders([String], revision: UInt64)
    }

    private let orders = Mailbox<Order>()

    init(folders: Folders, binaries: String, loop: LoopMailbox, logger: Logger) {
        startThread("storage") { [orders] in
            setNiceness(0)  // and so the children that it starts
            // The thread never ends: the bridge dies with it.
            StorageThread(orders: orders, folders: folders, binaries: binaries, loop: loop, logger: logger).run()
        }
    }

    func tell(_ order: Order) { self.orders.post(order) }
}

/// What the thread has in its hands.
private final class StorageThread {
    /// For each thing that waits for the target.
    private static let timeout = Duration.seconds(5)
    private static let lookMilliseconds: Int32 = 1000
    /// Not every target says that a LUN has grown.
    private static let measureInterval = Duration.seconds(60)

    private let orders: Mailbox<StorageWorker.Order>
    private let folders: Folders
    private let binaries: String
    private let loop: LoopMailbox
    private let logger: Logger
    private let folderWorker: FolderWorker

    private var lun = ""
    private var nodeName = ""
    private var node: UInt16 = 0
    private var others: [UInt16: String] = [:]
    private var filesystem = FilesystemID(high: 0, low: 0)

    private var session: ISCSISession?
    private var attachment: Attachment?
    private var bridgeRestart: Takeover.Operation?
    private var shareFolders: [String] = []
    private var lastLook = ContinuousClock.now
    private var lastPath: String?
    private var lastMeasure = ContinuousClock.now
    /// A kernel stays what it is: said once.
    private var hasToldOfKernel = false
    /// Whoever waits for what the target says of the LUN's size.
    private var growthAnswers: [AdminAnswer] = []

    init(
        orders: Mailbox<StorageWorker.Order>, folders: Folders, binaries: String, loop: LoopMailbox,
        logger: Logger
    ) {
        self.orders = orders
        self.folders = folders
        self.binaries = binaries
        self.loop = loop
        self.logger = logger
        self.folderWorker = FolderWorker(logger: logger)
    }

    func run() -> Never {
        while true {
            let bridge = self.attachment.map { [pollfd(fd: $0.eventDescriptor, events: Int16(POLLIN), revents: 0)] }
            let look = self.attachment.map { $0.hasKeptEvents ? 0 : Self.lookMilliseconds }
            self.orders.wait(milliseconds: look ?? -1, others: bridge ?? [])
            self.drainBridge()
            self.lookAfterBridge()
            for order in self.orders.drain() { self.perform(order) }
        }
    }

    private func lookAfterBridge() {
        guard ContinuousClock.now - self.lastLook > .milliseconds(Int64(Self.lookMilliseconds)) else { return }
        self.lastLook = .now
        self.attachment?.lookAfterBridge()
        guard ContinuousClock.now - self.lastMeasure > Self.measureInterval else { return }
        self.lastMeasure = .now
        self.attachment?.measure()
    }

    /// A LUN that grew is grown into; one that shrank is spoken of for as long as it is.
    private func follow(_ byteCount: UInt64) {
        guard let attachment = self.attachment else { return }
        let size = "\(byteCount >> 20) MiB"
        let reply: AdminReply
        do throws(PlatformError) {
            switch try attachment.follow(byteCount) {
            case .unchanged: reply = .done("the LUN has \(size), as before")
            case .grown(let before):
                self.logger.notice("the LUN grew from \(before >> 20) to \(size), and the file system with it")
                reply = .done("the LUN grew from \(before >> 20) to \(size), and the file system with it")
            case .shrunk(let before):
                let text =
                    "the LUN SHRANK from \(before >> 20) to \(size): whatever the file system has behind that is lost. Make it as "
                    + "large as it was at the target, at once"
                self.logger.critical("\(text)")
                reply = .failed(AdminFailure(.storage, text))
            }
        } catch {
            self.logger.error("the LUN has \(size) now, and the file system did not follow: \(error.message)")
            reply = .failed(AdminFailure(.storage, error.message))
        }
        self.answerGrowth(reply)
    }

    private func answerGrowth(_ reply: AdminReply) {
        for answer in self.growthAnswers { answer(reply) }
        self.growthAnswers = []
    }

    private func report(_ event: Takeover.Event) { self.loop.post(.takeover(event)) }

    private func perform(_ order: StorageWorker.Order) {
        switch order {
        case .configure(let lun, let nodeName, let node, let filesystem, let others):
            self.others = others
            self.lun = lun
            self.nodeName = nodeName
            self.node = node
            self.filesystem = filesystem
        case .takeFence(let operation, let term):
            self.answer(operation) { () throws(PlatformError) in try self.takeFence(term) }
        case .attach(let operation, let term):
            self.answer(operation) { () throws(PlatformError) in try self.attach(term) }
        case .restartBridge(let operation):
            guard let attachment = self.attachment else {
                return self.report(.failed(operation, Takeover.Failure(.transient, "the LUN is not attached")))
            }
            do throws(PlatformError) {
                try attachment.restartBridge()
                self.bridgeRestart = operation
            } catch {
                self.report(.failed(operation, Takeover.Failure(.transient, error.message)))
            }
        case .allowRetake: self.attachment?.allowRetake()
        // The bridge keeps everything waiting until the teardown that follows from not leading.
        case .refuseRetake: break
        case .detach(let operation, let term):
            self.answer(operation) { () throws(PlatformError) in try self.detach(term) }
        case .tearDown(let operation):
            self.tearDown()
            self.report(.finished(operation, []))
        case .prepare(let parameters, let answer): self.prepare(parameters, answer)
        case .prepareRestore(let plan, let answer):
            do throws(PlatformError) {
                self.loop.post(.restorePrepared(.success(try self.prepared(plan)), plan, answer))
            } catch {
                self.loop.post(.restorePrepared(.failure(error), plan, answer))
            }
        case .grow(let answer):
            guard let attachment = self.attachment else {
                return answer(.failed(AdminFailure(.unavailable, "no node has the LUN at the moment: try again")))
            }
            self.growthAnswers.append(answer)
            attachment.measure()
        case .makeFolders(let paths, let revision):
            self.shareFolders = paths
            self.makeFolders { [loop] failures in loop.post(.foldersMade(revision: revision, failures: failures)) }
        }
    }

    private func answer(_ operation: Takeover.Operation, _ body: () throws(PlatformError) -> [StepTime]) {
        do throws(PlatformError) {
            self.report(.finished(operation, try body().records))
        } catch {
            self.logger.error("\(error.message)")
            self.report(.failed(operation, error.failure))
        }
    }

    // MARK: Taking

    private func initiator(_ role: ISID.Role, node: UInt16? = nil, name: String? = nil) -> Initiator {
        .ofNode(node ?? self.node, named: name ?? self.nodeName, role: role)
    }

    private func takeFence(_ term: UInt32) throws(PlatformError) -> [StepTime] {
        var steps: [StepTime] = []
        let session: ISCSISession
        if let open = self.session, !open.isLost {
            session = open
        } else {
            let start = ContinuousClock.now
            session = try ISCSISession(try LUNAddress(self.lun), as: self.initiator(.fence), timeout: Self.timeout)
            steps.append(StepTime("login", ContinuousClock.now - start))
            self.session = session
        }
        let key = FenceKey(node: self.node, term: term)
        do throws(PlatformError) {
            let address = try LUNAddress(self.lun)
            steps += try Fence.take(key, on: session) { node in
                guard let name = self.others[node] else { return }
                Fence.evict(self.initiator(.fence, node: node, name: name), from: address)
            }
        } catch {
            session.destroy()
            self.session = nil
            throw error
        }
        self.loop.post(.fence("held by this node: \(key), type 5 (write exclusive, registrants only)"))
        return steps
    }

    private func attach(_ term: UInt32) throws(PlatformError) -> [StepTime] {
        // The bridge is the same nexus in another session.
        self.session?.logout()
        self.session = nil
        let attachment = try Attachment(
            Attachment.Plan(
                address: try LUNAddress(self.lun), initiator: self.initiator(.fence),
                key: FenceKey(node: self.node, term: term), bridgeExecutable: "\(self.binaries)/lunbridge",
                stateFolder: self.folders.storage, mountPoint: self.folders.mount, filesystem: self.filesystem,
                timeout: Self.timeout))
        self.attachment = attachment
        self.tellPath(attachment.path)
        try self.awaitFolders()
        self.tellOfKernel(attachment)
        return attachment.steps
    }

    private func tellOfKernel(_ attachment: Attachment) {
        guard !attachment.canRestartBridge, !self.hasToldOfKernel else { return }
        self.hasToldOfKernel = true
        self.logger.warning(
            """
            this kernel is older than Linux 6.9 and cannot send FUSE requests again: should lunbridge die, that costs \
            a takeover, and what was not flushed on shares that are not continuously available
            """)
    }

    private func tellPath(_ portal: String?) {
        if let portal, let last = self.lastPath, last != portal {
            self.logger.notice("the LUN is used over \(portal), no longer over \(last)")
        }
        self.lastPath = portal
        self.loop.post(.usedPath(portal))
    }

    private func makeFolders(_ answer: @escaping @Sendable ([String: String]) -> Void) {
        guard self.attachment != nil else { return answer([:]) }
        do throws(PlatformError) {
            let folders = try ShareFolders(on: self.folders.mount)
            self.folderWorker.make(self.shareFolders, in: folders, answer)
        } catch {
            answer(Dictionary(self.shareFolders.map { ($0, error.message) }) { first, _ in first })
        }
    }

    /// The server opens the shares' folders when it is told to serve. While attaching, a target that goes away is an
    /// error and not a reason to wait for ever.
    private func awaitFolders() throws(PlatformError) {
        let made = Mailbox<Void>()
        self.makeFolders { _ in made.post(()) }
        let deadline = ContinuousClock.now + Self.timeout
        while made.drain().isEmpty {
            guard ContinuousClock.now < deadline else {
                throw PlatformError(.unreachable, "the shares' folders were not there within \(Self.timeout)")
            }
            made.wait(milliseconds: milliseconds(until: deadline))
        }
    }

    // MARK: Giving up

    private func detach(_ term: UInt32) throws(PlatformError) -> [StepTime] {
        guard let attachment = self.attachment else { return [] }
        let steps = try attachment.detach()
        self.attachment = nil
        self.tellPath(nil)
        self.answerGrowth(.failed(AdminFailure(.unavailable, "the LUN moved to another node meanwhile: try again")))
        // The reservation stays, as after a crash, until the next node preempts it: on a LUN that nobody holds a write of an older,
        // deposed node that still sits in a TCP stream would land.
        self.loop.post(.fence("not in use by this node; its key of term \(term) stays until the next takeover"))
        return steps
    }

    private func tearDown() {
        self.bridgeRestart = nil
        if let attachment = self.attachment {
            let teardown = attachment.teardownFenced()
            for leftover in teardown.leftovers { self.logger.error("left over: \(leftover)") }
            self.attachment = nil
            self.tellPath(nil)
            self.answerGrowth(.failed(AdminFailure(.unavailable, "this node lost the LUN meanwhile: try again")))
        }
        self.session?.destroy()
        self.session = nil
        self.loop.post(.fence("not held by this node"))
    }

    // MARK: The bridge's news

    private func drainBridge() {
        while let event = self.attachment?.nextEvent() {
            switch event {
            case .measured(let byteCount): self.follow(byteCount)
            case .ready(let byteCount, _):
                self.follow(byteCount)
                if let operation = self.bridgeRestart {
                    self.bridgeRestart = nil
                    self.report(.finished(operation, []))
                }
                self.report(.bridgeReachable)
            case .unreachable(let why):
                self.logger.warning("the LUN is unreachable: \(why)")
                self.report(.bridgeUnreachable(why))
            case .path(let portal): self.tellPath(portal)
            case .reconnected(let after):
                self.logger.notice("the LUN is back after \(after)")
                self.report(.bridgeReachable)
            case .fenced(let holder):
                let who = FenceKey(raw: holder).map { "\($0)" } ?? "a foreign key"
                self.logger.error("fenced: reservation conflict, the LUN is held by \(who)")
                self.report(.bridgeFenced("the LUN is held by \(who)"))
            case .asksToRetake(unflushed: false):
                self.report(.bridgeAsksToRetake("nobody holds a reservation"))
            case .asksToRetake(unflushed: true):
                self.report(
                    .serverStorageFailed(
                        "the target restarted and may have lost writes; the file system is mounted anew"))
            case .seen, .alive: break
            case .failing: self.report(.serverStorageFailed("the target did not come back in time"))
            case .refused(let why): self.report(.serverStorageFailed(why))
            case .exited(let status):
                if let operation = self.bridgeRestart {
                    self.bridgeRestart = nil
                    self.report(.failed(operation, Takeover.Failure(.transient, "lunbridge ended again: \(status)")))
                } else {
                    self.report(.bridgeExited("\(status)"))
                    return
                }
            }
        }
    }

    // MARK: A new cluster

    /// The LUN of a new cluster: nobody else's, and with a file system.
    private func prepare(_ parameters: InitializeParameters, _ answer: @escaping AdminAnswer) {
        let result: Result<FilesystemID, PlatformError>
        do throws(PlatformError) {
            result = .success(try self.prepared(parameters))
        } catch {
            result = .failure(error)
        }
        self.loop.post(.lunPrepared(result, parameters, answer))
    }

    private func prepared(_ parameters: InitializeParameters) throws(PlatformError) -> FilesystemID {
        let address = try LUNAddress(parameters.lun)
        let fence = self.initiator(.fence, node: 1, name: parameters.nodeName)
        let session = try ISCSISession(address, as: fence, timeout: Self.timeout)
        defer { session.logout() }
        var found = try Fence.inspect(session)
        found.keys.removeAll { TargetCheck.isScratch($0) }
        if !parameters.forces {
            guard found.foreignKeys.isEmpty else {
                throw PlatformError(
                    .foreignReservation,
                    "\(address) carries a reservation that is not Holdfast's: another system uses this LUN. Check the "
                        + "address; if that system is really gone, repeat with --force")
            }
            if let newest = found.newest {
                throw PlatformError(
                    .foreignReservation,
                    "\(address) carries the key of a Holdfast node (\(newest)): it belongs to a cluster, running or "
                        + "stopped. Check the address; if that cluster is really gone, repeat with --force")
            }
        }
        let filesystem: FilesystemID
        switch try LUNContent.probe(session) {
        case .empty:
            guard parameters.formats else {
                throw PlatformError(
                    .notOurs, "\(address) is empty: repeat with --format to make the file system on it")
            }
            if found.newest != nil || !found.foreignKeys.isEmpty { try self.takeKeysAway(session, parameters) }
            try StorageCheck.require(address, acceptsUnsafe: parameters.acceptsUnsafe)
            filesystem = .random()
        case .xfs(let id, let label):
            guard parameters.adopts else {
                throw PlatformError(
                    .notOurs,
                    "\(address) already holds an XFS file system (UUID \(id), label \"\(label)\"): check the address, or "
                        + "repeat with --adopt to use it as it is")
            }
            if found.newest != nil || !found.foreignKeys.isEmpty { try self.takeKeysAway(session, parameters) }
            try StorageCheck.require(address, acceptsUnsafe: parameters.acceptsUnsafe)
            return id
        case .foreign(let what):
            throw PlatformError(
                .notOurs,
                "\(address) holds \(what), which Holdfast never overwrites: check the address, or wipe the LUN by hand")
        }
        let key = FenceKey(node: 1, term: UInt32(ClusterState.foundingTerm))
        _ = try Fence.take(key, on: session, force: parameters.forces)
        session.logout()
        do throws(PlatformError) {
            try self.format(
                Attachment.Plan(
                    address: address, initiator: fence, key: key,
                    bridgeExecutable: "\(self.binaries)/lunbridge", stateFolder: self.folders.storage,
                    mountPoint: self.folders.mount, filesystem: filesystem, formatsIfEmpty: true,
                    timeout: .seconds(60)))
        } catch {
            throw self.giveUp(key, on: address, as: fence, after: error)
        }
        try self.release(key, on: address, as: fence)
        return filesystem
    }

    /// Everything of the attachment is gone when it returns or throws.
    private func format(_ plan: Attachment.Plan) throws(PlatformError) {
        let attachment = try Attachment(plan)
        do throws(PlatformError) {
            _ = try attachment.detach()
        } catch {
            for leftover in attachment.teardownFenced().leftovers { self.logger.error("left over: \(leftover)") }
            throw error
        }
    }

    private func release(_ key: FenceKey, on address: LUNAddress, as fence: Initiator) throws(PlatformError) {
        let session = try ISCSISession(address, as: fence, timeout: Self.timeout)
        defer { session.logout() }
        try Fence.release(key, on: session)
    }

    /// There is no cluster, and so nobody whose key it is: left there, the next try would take it for another cluster's.
    /// What the bridge still had under way ends with its session, whose place this login takes (RFC 3720 5.3.5).
    private func giveUp(
        _ key: FenceKey, on address: LUNAddress, as fence: Initiator, after error: PlatformError
    ) -> PlatformError {
        do throws(PlatformError) {
            try self.release(key, on: address, as: fence)
            return error
        } catch let left {
            return PlatformError(
                error.kind,
                "\(error.message). This node's key stays on the LUN (\(left.message)): the next try needs --force")
        }
    }

    // MARK: A cluster that is brought back

    /// The LUN with the cluster's file system on it. The keys of the old nodes stay until the first takeover, whose term is
    /// beyond theirs: meanwhile nobody can write without one.
    private func prepared(_ plan: RestorePlan) throws(PlatformError) -> RestoredLUN {
        let parameters = plan.parameters
        let address = try LUNAddress(plan.lun)
        let session = try ISCSISession(
            address, as: self.initiator(.fence, node: plan.node, name: parameters.nodeName), timeout: Self.timeout)
        var found = try Fence.inspect(session)
        found.keys.removeAll { TargetCheck.isScratch($0) }
        let content = try LUNContent.probe(session)
        session.logout()
        if !parameters.forces {
            if let newest = found.newest {
                throw PlatformError(
                    .foreignReservation,
                    "\(address) carries the key of a Holdfast node (\(newest)): the old cluster runs, or left it there. When "
                        + "all its nodes are off, repeat with --force")
            }
            guard found.foreignKeys.isEmpty else {
                throw PlatformError(
                    .foreignReservation,
                    "\(address) carries a reservation that is not Holdfast's: another system uses this LUN. Check the "
                        + "address; if that system is really gone, repeat with --force")
            }
        }
        let newestTerm = found.newest?.term ?? 0
        switch content {
        case .xfs(let id, _):
            guard id == plan.fileSystem else {
                throw PlatformError(
                    .notOurs,
                    "\(address) holds the file system \(id), and the cluster's is \(plan.fileSystem): check the address"
                )
            }
            return RestoredLUN(fileSystem: id, newestTerm: newestTerm)
        case .empty where parameters.formats:
            let id = try self.prepared(
                InitializeParameters(
                    clusterName: "", nodeName: parameters.nodeName, address: parameters.address, virtualIP: "",
                    interface: parameters.interface, lun: plan.lun, formats: true, adopts: false,
                    forces: parameters.forces, acceptsUnsafe: parameters.acceptsUnsafe))
            return RestoredLUN(fileSystem: id, newestTerm: newestTerm)
        case .empty:
            throw PlatformError(
                .notOurs,
                "\(address) is empty: the files are not there. Check the address, or repeat with --format to begin without "
                    + "them")
        case .foreign(let what):
            throw PlatformError(
                .notOurs,
                "\(address) holds \(what), which Holdfast never overwrites: check the address, or wipe the LUN by hand")
        }
    }

    /// The terms of a new cluster begin anew: a key of the old one would be newer than all of its.
    private func takeKeysAway(
        _ session: ISCSISession, _ parameters: InitializeParameters
    ) throws(PlatformError) {
        let key = FenceKey(node: 1, term: UInt32(ClusterState.foundingTerm))
        _ = try Fence.take(key, on: session, force: parameters.forces)
        try Fence.release(key, on: session)
    }
}
