import CLinux
import Fencing
import Glibc

/// The LUN as a mounted file system: bridge, FUSE, loop device, XFS. The fence is taken before. One thread owns it, and that
/// thread must live as long (the bridge dies with it); call it from a private mount namespace.
package final class Attachment {
    package struct Plan: Equatable, Sendable {
        package var address: LUNAddress
        /// The one that took the fence, whose session is over: the same nexus is to write.
        package var initiator: Initiator
        package var key: FenceKey
        /// The path of lunbridge.
        package var bridgeExecutable: String
        /// An existing folder, for the file that FUSE is mounted on.
        package var stateFolder: String
        /// An existing folder.
        package var mountPoint: String
        /// What must be, or is going to be, on the LUN.
        package var filesystem: FilesystemID
        /// Make the file system when the LUN is proved empty. Otherwise an empty LUN is an error.
        package var formatsIfEmpty: Bool
        /// For each step that waits for the target.
        package var timeout: Duration
        /// The bridge's, ``BridgeConfiguration``.
        package var commandAgeLimit = BridgeConfiguration.usualCommandAgeLimit

        package init(
            address: LUNAddress, initiator: Initiator, key: FenceKey, bridgeExecutable: String, stateFolder: String,
            mountPoint: String, filesystem: FilesystemID, formatsIfEmpty: Bool = false, timeout: Duration = .seconds(10)
        ) {
            self.address = address
            self.initiator = initiator
            self.key = key
            self.bridgeExecutable = bridgeExecutable
            self.stateFolder = stateFolder
            self.mountPoint = mountPoint
            self.filesystem = filesystem
            self.formatsIfEmpty = formatsIfEmpty
            self.timeout = timeout
        }
    }

    package let plan: Plan
    /// What attaching took, in order.
    package private(set) var steps: [StepTime] = []
    package private(set) var byteCount: UInt64
    private let fuse: FUSEMount
    private let loop: LoopDevice
    private var bridge: BridgeProcess
    private var isMounted = true
    private var pending: [BridgeEvent] = []
    private var generation: UInt32
    /// The portal over which requests went last.
    package private(set) var path: String
    /// Nil: the last one was answered.
    private var pingedAt: ContinuousClock.Instant?

    /// How long the bridge may take to say that it fails everything, before it is killed instead.
    private static let failTimeout: Duration = .milliseconds(200)
    /// How long the last users of a file system that fails everything may take to end.
    private static let busyTimeout: Duration = .milliseconds(500)
    /// How long the last users of a file system that is whole may take to end, once all of it is on the LUN: far more
    /// than a process that was killed needs for its exit.
    private static let holdersTimeout: Duration = .seconds(20)
    /// How long the kernel may take to let go of the file system after the unmount.
    private static let releaseTimeout: Duration = .seconds(2)

    package init(_ plan: Plan) throws(PlatformError) {
        self.plan = plan
        var clock = StepClock()
        let configuration = Self.configuration(plan)
        let fuse = try clock.run("fuse") { () throws(PlatformError) in
            try FUSEMount(path: "\(plan.stateFolder)/lun", hiding: plan.mountPoint)
        }
        var generation: UInt32 = 0
        var path = ""
        let (bridge, byteCount) = try clock.run("bridge") { () throws(PlatformError) in
            let bridge = try BridgeProcess(
                executable: plan.bridgeExecutable, configuration: configuration, fuse: fuse)
            // While attaching, a target that goes away is an error and not a reason to wait for ever.
            bridge.tell(.patience(plan.timeout))
            return (bridge, try Self.waitUntilReady(bridge, plan, &generation, &path))
        }
        let loop = try clock.run("loop") { () throws(PlatformError) in
            try BridgeWatch.during(bridge, fuse) { () throws(PlatformError) in try LoopDevice(attaching: fuse) }
        }
        do throws(PlatformError) {
            try BridgeWatch.during(bridge, fuse) { () throws(PlatformError) in
                try Self.prepare(loop, plan, &clock)
                try clock.run("mount") { () throws(PlatformError) in try XFS.mount(loop, on: plan.mountPoint) }
                // The LUN grew while nobody had it, or the node before died in the middle. Without it everything works but the growth.
                _ = try? XFS.grow(plan.mountPoint, to: try loop.byteCount())
            }
        } catch {
            try? loop.detach()
            throw error
        }
        bridge.tell(.patience(nil))
        self.fuse = fuse
        self.bridge = bridge
        self.loop = loop
        self.byteCount = byteCount
        self.generation = generation
        self.path = path
        self.steps = clock.steps
    }

    /// Where there is another way, a silent one is given up sooner than a takeover would begin.
    private static let pathSilenceLimit: Duration = .milliseconds(1500)

    private static func configuration(_ plan: Plan) -> BridgeConfiguration {
        var configuration = BridgeConfiguration(address: plan.address, initiator: plan.initiator, key: plan.key)
        configuration.commandAgeLimit = plan.commandAgeLimit
        if plan.address.portals.count > 1 { configuration.silenceLimit = Self.pathSilenceLimit }
        return configuration
    }

    private static func waitUntilReady(
        _ bridge: BridgeProcess, _ plan: Plan, _ generation: inout UInt32, _ path: inout String
    ) throws(PlatformError) -> UInt64 {
        let deadline = ContinuousClock.now + plan.timeout
        var reason = "\(plan.address): no answer from the bridge within \(plan.timeout)"
        while let event = bridge.waitForEvent(timeout: ContinuousClock.now.duration(to: deadline)) {
            switch event {
            case .ready(let byteCount, _): return byteCount
            case .unreachable(let text): reason = text
            case .refused(let text): throw PlatformError(.loginRefused, text)
            case .fenced(let holder):
                throw PlatformError(.conflict, "\(plan.address): the LUN is held by \(keyText(holder)), not by us")
            case .asksToRetake:
                throw PlatformError(.conflict, "\(plan.address): nobody holds the LUN; take the fence before attaching")
            case .exited(let status):
                throw PlatformError(.system(errno: EIO), "\(plan.bridgeExecutable) ended with \(status)")
            case .seen(let seen): generation = seen
            case .path(let portal): path = portal
            case .reconnected, .failing, .alive, .measured: continue
            }
        }
        throw PlatformError(.unreachable, reason)
    }

    /// The file system must be ours; on a LUN that is proved empty it is made, when that was asked for.
    private static func prepare(
        _ loop: LoopDevice, _ plan: Plan, _ clock: inout StepClock
    ) throws(PlatformError) {
        let content = try clock.run("probe") { () throws(PlatformError) in
            try LUNContent.probe(byteCount: try loop.byteCount()) { (offset, count) throws(PlatformError) in
                try loop.read(at: offset, count: count)
            }
        }
        switch content {
        case .xfs(plan.filesystem, _): return
        case .xfs(let other, let label):
            let what = label == XFS.label ? "the file system of another Holdfast cluster" : "an XFS file system"
            throw PlatformError(
                .notOurs,
                "\(plan.address) holds \(what) (UUID \(other), label \"\(label)\"), not this cluster's (\(plan.filesystem)); "
                    + "check the address, or wipe the LUN by hand if it is really meant")
        case .foreign(let what):
            throw PlatformError(
                .notOurs,
                "\(plan.address) holds \(what); Holdfast only formats a LUN that is empty: check the address, or wipe the LUN "
                    + "by hand if it is really meant")
        case .empty:
            guard plan.formatsIfEmpty else {
                throw PlatformError(
                    .notOurs,
                    "\(plan.address) is empty and does not hold this cluster's file system (\(plan.filesystem))")
            }
            try clock.run("mkfs") { () throws(PlatformError) in try XFS.make(loop.path, id: plan.filesystem) }
        }
    }

    // MARK: - The bridge

    /// Poll for POLLIN, then take events until there is none. Changes with `restartBridge`. Of those that came while
    /// this sat in a call that waits for the bridge it does not tell: `hasKeptEvents`.
    package var eventDescriptor: Int32 { self.bridge.eventDescriptor }
    package var hasKeptEvents: Bool { !self.pending.isEmpty || self.bridge.hasKept }
    package var bridgePid: pid_t { self.bridge.pid }
    /// The kernel sends a dead bridge's requests again: `restartBridge` can follow its death. Linux 6.9.
    package var canRestartBridge: Bool { self.fuse.canResend }

    package func nextEvent() -> BridgeEvent? {
        if !self.pending.isEmpty { return self.pending.removeFirst() }
        while let event = self.bridge.nextEvent() {
            switch event {
            case .seen(let generation): self.generation = generation
            case .path(let portal):
                self.path = portal
                return event
            case .alive: self.pingedAt = nil
            default: return event
            }
        }
        return nil
    }

    /// To be called now and then: asks the bridge whether it is there, and ends one that has not answered for too long; `.exited`
    /// follows, and a new one can take its place.
    package func lookAfterBridge() {
        guard let pingedAt = self.pingedAt else {
            self.pingedAt = .now
            return self.bridge.tell(.ping)
        }
        if ContinuousClock.now - pingedAt > BridgeProcess.silenceLimit { self.bridge.kill() }
    }

    /// Has the bridge ask for the LUN's size; `.measured` follows.
    package func measure() { self.bridge.tell(.measure) }

    package enum Resize: Equatable, Sendable {
        case unchanged
        case grown(from: UInt64)
        /// Nothing was done: what lies behind the new end is gone, and the file system knows nothing of it.
        case shrunk(from: UInt64)
    }

    /// After `.measured`: file, loop device and file system follow a LUN that grew. A failure leaves what was reached, and may be
    /// repeated.
    package func follow(_ byteCount: UInt64) throws(PlatformError) -> Resize {
        let before = self.byteCount
        guard byteCount >= before else { return .shrunk(from: before) }
        guard byteCount > before else { return .unchanged }
        // All of it waits for the bridge, and its owner can be told nothing meanwhile: a target that goes away just now ends it.
        self.bridge.tell(.patience(self.plan.timeout))
        defer { self.bridge.tell(.patience(nil)) }
        try BridgeWatch.during(self.bridge, self.fuse) { () throws(PlatformError) in
            guard try self.fuse.refreshSize() >= byteCount else {
                throw PlatformError(
                    .conflict, "\(self.plan.address): the bridge does not know of the LUN's new size yet")
            }
            try self.loop.followSize()
            try XFS.grow(self.plan.mountPoint, to: try self.loop.byteCount())
        }
        self.byteCount = byteCount
        return .grown(from: before)
    }

    /// After `.asksToRetake(unflushed: false)`, when the quorum confirmed that we lead.
    package func allowRetake() {
        self.bridge.tell(.retake)
    }

    /// After `.exited` of a bridge that was not fenced: a new one takes over the requests of the dead. Does not wait;
    /// `.ready` (or `.fenced`, ...) comes as an event.
    package func restartBridge() throws(PlatformError) {
        guard self.fuse.canResend else {
            throw PlatformError(
                .invalid, "this kernel cannot send FUSE requests again (Linux 6.9 can): tear down and attach anew")
        }
        var configuration = Self.configuration(self.plan)
        configuration.generation = self.generation
        self.pingedAt = nil
        self.bridge = try BridgeProcess(
            executable: self.plan.bridgeExecutable, configuration: configuration, fuse: self.fuse)
    }

    // MARK: - The end

    /// Tries until nobody is in the way any more, or for that long.
    private static func whileBusy(
        for timeout: Duration = Attachment.busyTimeout, _ body: () throws(PlatformError) -> Void
    ) throws(PlatformError) {
        let deadline = ContinuousClock.now + timeout
        while true {
            do throws(PlatformError) { return try body() } catch {
                guard error.kind == .busy, ContinuousClock.now < deadline else { throw error }
            }
            usleep(5000)
        }
    }

    /// A server that was killed while it flushed has its files open until the flush is over, and nothing can hurry it:
    /// it is waited for by flushing as well. Where somebody holds files for longer nothing is dirty any more, and a
    /// teardown after that discards nothing.
    private func unmount() throws(PlatformError) {
        do throws(PlatformError) { return try XFS.unmount(self.plan.mountPoint) } catch {
            guard error.kind == .busy else { throw error }
        }
        try XFS.flush(self.plan.mountPoint)
        try Self.whileBusy(for: Self.holdersTimeout) { () throws(PlatformError) in
            try XFS.unmount(self.plan.mountPoint)
        }
    }

    /// A clean end: everything is on the LUN when this returns. Throws `.busy` where something has files open and keeps
    /// them; it is then still attached, and everything that was written by then is on the LUN all the same.
    package func detach() throws(PlatformError) -> [StepTime] {
        var clock = StepClock()
        // The unmount waits for the target, and nobody can be told meanwhile. A target that goes away now must end it: what
        // was acknowledged is on the LUN already, the log brings the rest back.
        self.bridge.tell(.patience(self.plan.timeout))
        if self.isMounted {
            try clock.run("unmount") { () throws(PlatformError) in
                try BridgeWatch.during(self.bridge, self.fuse) { () throws(PlatformError) in try self.unmount() }
            }
            self.isMounted = false
            guard self.bridge.wait(timeout: .zero) == nil else {
                throw PlatformError(
                    .system(errno: EIO), "lunbridge ended during the unmount, which was not a clean one then")
            }
        }
        try clock.run("release") { () throws(PlatformError) in
            guard XFS.waitUntilGone(self.loop, timeout: Self.releaseTimeout) else {
                throw PlatformError(
                    .busy, "/sys/fs/xfs/\(self.loop.name) is still there: another namespace has it mounted")
            }
        }
        try clock.run("loop") { () throws(PlatformError) in try self.loop.detach() }
        try clock.run("fuse") { () throws(PlatformError) in
            // The loop device keeps its file for as long as anybody has the device open: whoever looks at it just now, or a
            // process that this one is starting, which has all descriptors until it executes its program.
            try Self.whileBusy { () throws(PlatformError) in try self.fuse.unmount() }
        }
        try clock.run("bridge") { () throws(PlatformError) in
            self.bridge.tell(.quit)
            if self.bridge.wait(timeout: self.plan.timeout) == nil { self.bridge.kill() }
        }
        return clock.steps
    }

    /// What is left when the LUN was lost, and how long each step took.
    package struct Teardown: Equatable, Sendable {
        package var steps: [StepTime]
        /// What could not be taken away: something still holds it. Empty: nothing is left.
        package var leftovers: [String]
    }

    /// For a node that was fenced, or whose target or bridge is gone for good. Never waits for the target: errors first, then
    /// XFS is shut down without its log, unmounted, and the rest goes. Kill smbserverd before: an open file keeps the mount.
    package func teardownFenced() -> Teardown {
        var clock = StepClock()
        var leftovers: [String] = []
        func step(_ name: String, _ body: () throws(PlatformError) -> Void) {
            do throws(PlatformError) { try clock.run(name, body) } catch {
                leftovers.append("\(name): \(error.message)")
            }
        }
        step("errors") { self.failEverything() }
        if self.isMounted {
            step("shutdown") { () throws(PlatformError) in try XFS.shutDown(self.plan.mountPoint) }
            step("unmount") { () throws(PlatformError) in
                do throws(PlatformError) {
                    // A process that was killed may still be inside its last, failing call.
                    try Self.whileBusy { () throws(PlatformError) in try XFS.unmount(self.plan.mountPoint) }
                } catch {
                    // Out of sight at least; the kernel frees it with the last open file.
                    _ = clinux_unmount(self.plan.mountPoint, CLINUX_MNT_DETACH)
                    throw error
                }
            }
            self.isMounted = false
        }
        step("loop") { () throws(PlatformError) in try self.loop.detach() }
        step("release") { () throws(PlatformError) in
            guard XFS.waitUntilGone(self.loop, timeout: Self.releaseTimeout) else {
                throw PlatformError(.busy, "/sys/fs/xfs/\(self.loop.name) is still there")
            }
        }
        step("fuse") { () throws(PlatformError) in
            self.fuse.abort()
            try Self.whileBusy { () throws(PlatformError) in try self.fuse.unmount() }
        }
        step("bridge") {
            self.bridge.kill()
            _ = self.bridge.wait(timeout: .seconds(1))
        }
        return Teardown(steps: clock.steps, leftovers: leftovers)
    }

    /// Every request, waiting and future, ends with an error: by the bridge, or where it does not answer by the kernel.
    private func failEverything() {
        self.bridge.tell(.fail)
        let deadline = ContinuousClock.now + Self.failTimeout
        while let event = self.bridge.waitForEvent(timeout: ContinuousClock.now.duration(to: deadline)) {
            if event == .failing { return }
            self.pending.append(event)
        }
        self.bridge.kill()
        self.fuse.abort()
    }
}
