import CISCSI
import CLinux
import Fencing
import Glibc

/// The doing of lunbridge: libiscsi on one side, raw FUSE on the other, the LUN as one file. One thread, one poll loop.
///
/// A request is kept until its reply is written, whatever happens to the session in between. The bridge answers EIO only
/// when it is fenced, told to, or out of patience; a target that is away means waiting.
package final class Bridge {
    /// Requests that are read from the kernel and not yet answered, each with a buffer of 1 MiB. At the limit the rest waits in the
    /// kernel. (More only makes a new bridge start later: its memory is locked.)
    static let maximumRequests = 32
    static let heartbeatInterval: Duration = .milliseconds(500)
    static let busyDelay: Duration = .milliseconds(10)
    static let firstReconnectDelay: Duration = .milliseconds(20)
    static let maximumReconnectDelay: Duration = .milliseconds(250)
    /// Looks at the reservation in a row, without one command succeeding, before the session is given up.
    static let maximumVerifications = 16

    enum Mode: Equatable {
        case serving
        /// The session is over; the next login is due.
        case down
        /// The target forgot the reservation and the parent was asked.
        case asking
        /// Everything is answered with EIO.
        case refusing(BridgeExit)
    }

    private let configuration: BridgeConfiguration
    private let fuse: Int32
    private let control: Int32
    private var mode = Mode.down
    private var session: ISCSISession?
    /// The ways to the target, and which of them is used, or tried next.
    private let paths: [LUNAddress]
    private var path = 0
    /// Tried in vain since the session was lost.
    private var pathsTried = 0
    private var description: LUNDescription?
    private var free: [BridgeSlot] = []
    /// Taken on and to be issued (again).
    private var waiting: [BridgeSlot] = []
    /// All of them: libiscsi does not keep those that are under way.
    private var slots: [BridgeSlot] = []
    private var heartbeat: BridgeSlot?
    /// Of every slot's command, the heartbeat's too.
    private var silence: SilenceWatch
    private var nextHeartbeat = ContinuousClock.now
    private var mustVerify = false
    private var mustMeasure = false
    private var verifications = 0
    /// Counts of answered writes: a flush covers those that were answered before it was issued. One to begin with: a bridge before
    /// this one may have answered some that nobody flushed.
    private var writesAnswered: UInt64 = 1
    private var writesFlushed: UInt64 = 0
    private var retryAt: ContinuousClock.Instant?
    private var downSince = ContinuousClock.now
    private var nextLogin = ContinuousClock.now
    private var reconnectDelay = Bridge.firstReconnectDelay
    private var saidUnreachable = false
    private var mayRetake = false
    private var generation: GenerationWatch
    /// The target restarted since this bridge, or the one before it, last served.
    private var targetRestarted = false
    /// What an earlier session sent may still execute.
    private var mustReset = true
    private var patience: Duration?
    private var finished: BridgeExit?

    /// Both descriptors are non-blocking or become so; they stay the caller's.
    package init(_ configuration: BridgeConfiguration, fuse: Int32, control: Int32) {
        self.configuration = configuration
        self.paths = configuration.address.paths
        self.generation = GenerationWatch(last: configuration.generation)
        self.silence = SilenceWatch(
            commands: Self.maximumRequests + 1, silenceLimit: configuration.silenceLimit,
            ageLimit: configuration.commandAgeLimit, at: .now)
        self.fuse = fuse
        self.control = control
        self.slots = (0..<Self.maximumRequests).map {
            BridgeSlot(bridge: self, number: $0, transfer: FUSEMount.maximumTransfer)
        }
        self.free = self.slots
        self.heartbeat = BridgeSlot(bridge: self, number: Self.maximumRequests, transfer: FUSEMount.pageSize)
    }

    /// The first packet on the control socket; nil when there is none or it makes no sense.
    package static func receiveConfiguration(_ control: Int32) -> BridgeConfiguration? {
        guard waitForEvent(control, POLLIN, until: .now + .seconds(10)) & POLLIN != 0 else { return nil }
        var packet = [UInt8](repeating: 0, count: BridgeCommand.maximumSize)
        let count = recv(control, &packet, packet.count, Int32(MSG_DONTWAIT))
        guard count > 0, case .configure(let configuration) = BridgeCommand(parsing: Array(packet[..<count])) else {
            return nil
        }
        return configuration
    }

    // MARK: - The loop

    package func run() -> BridgeExit {
        while self.finished == nil {
            if self.mode == .down, ContinuousClock.now >= self.nextLogin { self.connect() }
            if self.finished != nil { break }
            self.turn()
        }
        self.session?.logout()
        return self.finished ?? .quit
    }

    private func turn() {
        let canTake = !self.free.isEmpty && self.takesRequests
        let none = Int16(0)
        var entries = [
            pollfd(fd: self.control, events: Int16(POLLIN), revents: none),
            pollfd(fd: canTake ? self.fuse : -1, events: Int16(POLLIN), revents: none),
            pollfd(fd: -1, events: none, revents: none),
        ]
        if let session = self.session {
            entries[2] = pollfd(
                fd: session.descriptor, events: Int16(truncatingIfNeeded: session.events | pollHangUp), revents: none)
        }
        let count = poll(&entries, nfds_t(entries.count), milliseconds(until: self.nextDeadline))
        guard count >= 0 else { return }
        if entries[0].revents != 0 { self.readControl() }
        if entries[2].revents != 0, let session = self.session {
            if Int32(entries[2].revents) & POLLIN != 0 { self.silence.heard(at: .now) }
            session.service(Int32(entries[2].revents))
        }
        if entries[1].revents != 0 { self.takeRequests() }
        self.afterTurn()
    }

    private var takesRequests: Bool {
        switch self.mode {
        case .serving, .refusing: true
        case .down, .asking: false
        }
    }

    private var nextDeadline: ContinuousClock.Instant {
        var deadline = ContinuousClock.now + Self.heartbeatInterval
        if self.mode == .down { deadline = min(deadline, self.nextLogin) }
        if let retryAt = self.retryAt { deadline = min(deadline, retryAt) }
        if self.mode == .serving { deadline = min(deadline, self.nextHeartbeat) }
        return deadline
    }

    /// Everything that must not happen inside libiscsi's callbacks, which only take notes.
    private func afterTurn() {
        let now = ContinuousClock.now
        if let session = self.session {
            if session.isLost {
                self.loseSession("the connection ended")
            } else if self.mustVerify {
                self.verify(session)
            }
        }
        if self.mode == .serving, let session = self.session {
            if let retryAt = self.retryAt, now < retryAt {
                // The target is busy; whatever else is new is issued when the delay is over.
            } else {
                self.retryAt = nil
                self.issueWaiting(session)
            }
            self.beat(session, now)
            if self.mustMeasure { self.measure(session) }
            // Out with what was queued, instead of waiting for the next turn.
            if session.events & POLLOUT != 0 { session.service(POLLOUT) }
            if session.isLost, self.session != nil { self.loseSession("the connection ended") }
            self.checkSilence(now)
        }
        if case .refusing = self.mode {
        } else if self.mode != .serving, let patience = self.patience, now - self.downSince > patience {
            self.refuse(.failed)
            self.say(.failing)
        }
    }

    // MARK: - The session

    private func connect() {
        do {
            let limit = self.configuration.commandTimeout
            let session = try ISCSISession(
                self.paths[self.path], as: self.configuration.initiator,
                timeout: self.paths.count > 1 ? min(limit, ISCSISession.pathTimeout) : limit)
            if self.description == nil { self.description = try session.describe() }
            self.session = session
            self.silence.heard(at: .now)
            self.mustReset = true
            try self.confirm(session)
        } catch {
            self.session?.destroy()
            self.session = nil
            if self.description == nil, error.kind == .loginRefused || error.kind == .notFound {
                self.say(.refused(error.message))
                self.finished = .refused
                return
            }
            self.sayUnreachable(error.message)
            self.takeNextPath()
            self.pathsTried += 1
            guard self.pathsTried >= self.paths.count else { return }
            self.pathsTried = 0
            self.nextLogin = .now + self.reconnectDelay
            self.reconnectDelay = min(self.reconnectDelay * 2, Self.maximumReconnectDelay)
        }
    }

    /// Over another portal group the session is another nexus; `confirm` looks who holds the LUN, as after any reconnect, before
    /// it registers that one.
    private func takeNextPath() { self.path = (self.path + 1) % self.paths.count }

    /// Looks who holds the LUN, and only then registers this nexus; and looks again, because a rival may have preempted our key
    /// between the look and the registration.
    private func confirm(_ session: ISCSISession) throws(PlatformError) {
        let key = self.configuration.key
        var state = try self.look(session)
        if state.verdict(for: key) == .forgotten, self.mayRetake {
            _ = try Fence.take(key, on: session)
            state = try self.look(session)
        }
        let isUnflushed = self.writesAnswered > self.writesFlushed
        switch state.verdict(for: key) {
        case .fenced(let holder):
            self.becomeFenced(by: holder)
            return
        case .forgotten:
            self.ask(unflushed: isUnflushed)
            return
        case .ours where self.targetRestarted && isUnflushed && !self.mayRetake:
            // The reservation survived, what was in the write cache did not.
            self.ask(unflushed: true)
            return
        case .ours:
            break
        }
        try session.registerAndIgnoreExistingKey(key.raw)
        state = try self.look(session)
        if case .fenced(let holder) = state.verdict(for: key) {
            try? session.register(0, replacing: key.raw)
            self.becomeFenced(by: holder)
            return
        }
        guard state.verdict(for: key) == .ours, state.keys.contains(key.raw) else {
            throw PlatformError(.conflict, "\(session.address): the reservation changed while we registered")
        }
        let raised = try Fence.raiseGeneration(key, on: session, state)
        if raised.generation != state.generation { self.note(raised.generation) }
        if self.mustReset {
            // It must not land on top of what is issued again.
            try session.resetLogicalUnit()
            try session.testUnitReady()
            self.mustReset = false
        }
        self.mayRetake = false
        self.targetRestarted = false
        self.mustVerify = false
        self.nextHeartbeat = .now + Self.heartbeatInterval
        self.becomeServing()
    }

    private func look(_ session: ISCSISession) throws(PlatformError) -> FenceState {
        let state = try Fence.inspect(session)
        self.note(state.generation)
        return state
    }

    private func note(_ generation: UInt32) {
        let last = self.generation.last
        if self.generation.sees(generation) { self.targetRestarted = true }
        if generation != last { self.say(.seen(generation: generation)) }
    }

    private func ask(unflushed: Bool) {
        guard self.mode != .asking else { return }
        self.mode = .asking
        self.downSince = .now
        self.say(.asksToRetake(unflushed: unflushed))
    }

    private func becomeServing() {
        guard self.mode != .serving, let description = self.description else { return }
        self.mode = .serving
        self.reconnectDelay = Self.firstReconnectDelay
        self.pathsTried = 0
        self.say(.path(self.paths[self.path].portal))
        if self.hasServed {
            self.mustMeasure = true
            self.say(.reconnected(after: ContinuousClock.now - self.downSince))
        } else {
            self.hasServed = true
            // An earlier bridge's requests come again; with none waiting this does nothing.
            _ = FUSEReply.askToResend(self.fuse)
            self.say(.ready(byteCount: description.byteCount, blockSize: description.blockSize))
        }
        self.saidUnreachable = false
    }

    private var hasServed = false

    private func measure(_ session: ISCSISession) {
        guard let description = self.description else { return }
        self.mustMeasure = false
        do {
            let found = try session.capacity()
            let byteCount = found.blockCount.multipliedReportingOverflow(by: UInt64(found.blockSize))
            guard found.blockSize == description.blockSize, !byteCount.overflow else { return }
            self.description?.blockCount = max(description.blockCount, found.blockCount)
            self.say(.measured(byteCount: byteCount.partialValue))
        } catch {
            self.loseSession(error.message)
        }
    }

    private func verify(_ session: ISCSISession) {
        self.verifications += 1
        guard self.verifications <= Self.maximumVerifications else {
            self.loseSession("the target refuses every command although the reservation is ours")
            return
        }
        do {
            try self.confirm(session)
        } catch {
            self.loseSession(error.message)
        }
    }

    private func loseSession(_ reason: String) {
        guard let session = self.session else { return }
        // Cancels what is under way: the callbacks put it back to `waiting`.
        session.destroy()
        self.session = nil
        self.mustVerify = false
        self.verifications = 0
        if case .refusing = self.mode { return }
        self.mode = .down
        self.downSince = .now
        self.nextLogin = .now
        self.pathsTried = 0
        self.takeNextPath()
        self.sayUnreachable(reason)
    }

    private func becomeFenced(by holder: UInt64) {
        if case .refusing = self.mode { return }
        self.refuse(.fenced)
        self.say(.fenced(by: holder))
    }

    /// From now on everything fails. What was waiting is answered first.
    private func refuse(_ exit: BridgeExit) {
        self.mode = .refusing(exit)
        self.session?.destroy()
        self.session = nil
        for slot in self.waiting { self.reply(slot, error: EIO) }
        self.waiting = []
        // What a dead bridge had taken on is to fail too, although this one never got to serve.
        if !self.hasServed { _ = FUSEReply.askToResend(self.fuse) }
    }

    /// Reads the reservation every half second: proof that the target answers, and that it is still ours when nothing is written.
    private func beat(_ session: ISCSISession, _ now: ContinuousClock.Instant) {
        guard now >= self.nextHeartbeat, let slot = self.heartbeat, !self.silence.isOutstanding(slot.number) else {
            return
        }
        self.nextHeartbeat = now + Self.heartbeatInterval
        slot.command = .persistentReserveIn(.reservation, byteCount: 24)
        slot.byteCount = 24
        self.submit(slot, session)
    }

    private func checkSilence(_ now: ContinuousClock.Instant) {
        switch self.silence.verdict(at: now) {
        case .answers: break
        case .isSilent: self.loseSession("no answer for \(self.configuration.silenceLimit)")
        case .keepsOne: self.loseSession("a command was not answered for \(self.configuration.commandAgeLimit)")
        }
    }

    // MARK: - The parent

    private func say(_ event: BridgeEvent) {
        let packet = event.encode()
        // The parent reads promptly; should its queue be full, the states that matter are said again by our exit code.
        _ = Glibc.send(self.control, packet, packet.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    private func sayUnreachable(_ reason: String) {
        guard !self.saidUnreachable else { return }
        self.saidUnreachable = true
        self.say(.unreachable(reason))
    }

    private func readControl() {
        var packet = [UInt8](repeating: 0, count: BridgeCommand.maximumSize)
        while true {
            let count = recv(self.control, &packet, packet.count, Int32(MSG_DONTWAIT))
            if count < 0 { return }
            guard count > 0 else {
                self.finished = .parentGone
                return
            }
            switch BridgeCommand(parsing: Array(packet[..<count])) {
            case .some(.retake):
                self.mayRetake = true
                if self.mode == .asking { self.mustVerify = true }
            case .some(.fail):
                if case .refusing = self.mode {} else { self.refuse(.failed) }
                self.say(.failing)
            case .some(.patience(let patience)): self.patience = patience
            case .some(.ping): self.say(.alive)
            case .some(.measure): self.mustMeasure = true
            case .some(.quit):
                if case .refusing(let exit) = self.mode { self.finished = exit } else { self.finished = .quit }
            case .some(.configure), .none: break
            }
        }
    }

    // MARK: - The kernel's requests

    private func takeRequests() {
        while self.finished == nil, let slot = self.free.last {
            let incoming = slot.incoming
            let count = read(self.fuse, incoming.baseAddress, incoming.count)
            if count < 0 {
                switch errno {
                case EINTR, ENOENT: continue  // ENOENT: the request was interrupted before we read it
                case EAGAIN: return
                case ENODEV:
                    if case .refusing(let exit) = self.mode { self.finished = exit } else { self.finished = .quit }
                default: self.finished = .failed  // aborted
                }
                return
            }
            guard count >= MemoryLayout<fuse_in_header>.size else { continue }
            let header = incoming.load(as: fuse_in_header.self)
            slot.unique = header.unique
            slot.opcode = header.opcode
            self.free.removeLast()
            self.begin(slot, count)
        }
    }

    /// Every path ends in a reply, in `waiting`, or (FORGET) in neither.
    private func begin(_ slot: BridgeSlot, _ count: Int) {
        // Only a bridge that refuses everything, before it ever saw the LUN, takes requests without knowing it.
        guard let description = self.description else { return self.reply(slot, error: EIO) }
        switch fuse_opcode(slot.opcode) {
        case FUSE_READ:
            guard let argument = slot.argument(fuse_read_in.self, count: count) else {
                return self.reply(slot, error: EINVAL)
            }
            self.transfer(slot, argument.offset, Int(argument.size), description, isWrite: false)
        case FUSE_WRITE:
            guard let argument = slot.argument(fuse_write_in.self, count: count),
                Int(argument.size) <= count - (BridgeSlot.dataOffset - BridgeSlot.headerOffset)
            else { return self.reply(slot, error: EINVAL) }
            self.transfer(slot, argument.offset, Int(argument.size), description, isWrite: true)
        case FUSE_FSYNC:
            slot.command = .synchronizeCache16
            slot.byteCount = 0
            self.enqueue(slot)
        case FUSE_FALLOCATE:
            guard let argument = slot.argument(fuse_fallocate_in.self, count: count) else {
                return self.reply(slot, error: EINVAL)
            }
            self.deallocate(slot, argument, description)
        case FUSE_GETATTR, FUSE_SETATTR:
            // A size that is asked for must be the LUN's own; times and modes are nobody's concern here.
            if fuse_opcode(slot.opcode) == FUSE_SETATTR,
                let argument = slot.argument(fuse_setattr_in.self, count: count),
                argument.valid & UInt32(FATTR_SIZE) != 0, argument.size != description.byteCount
            {
                return self.reply(slot, error: EPERM)
            }
            var answer = fuse_attr_out()
            answer.attr_valid = 3600
            answer.attr = Self.attributes(description)
            self.reply(slot, answer)
        case FUSE_OPEN:
            var answer = fuse_open_out()
            // NOFLUSH: to close the file waits for nobody.
            answer.open_flags =
                UInt32(FOPEN_DIRECT_IO) | UInt32(FOPEN_PARALLEL_DIRECT_WRITES) | UInt32(FOPEN_NOFLUSH)
            self.reply(slot, answer)
        case FUSE_STATFS:
            var answer = fuse_statfs_out()
            answer.st.bsize = UInt32(FUSEMount.pageSize)
            answer.st.frsize = UInt32(FUSEMount.pageSize)
            answer.st.blocks = description.byteCount / UInt64(FUSEMount.pageSize)
            answer.st.files = 1
            answer.st.namelen = 255
            self.reply(slot, answer)
        case FUSE_RELEASE, FUSE_FLUSH, FUSE_DESTROY, FUSE_ACCESS:
            self.reply(slot, error: 0)
        case FUSE_FORGET, FUSE_BATCH_FORGET:
            self.free.append(slot)
        default:
            // LOOKUP finds nothing in a file; ENOSYS tells the kernel not to ask for the rest again (INTERRUPT too).
            self.reply(slot, error: fuse_opcode(slot.opcode) == FUSE_LOOKUP ? ENOENT : ENOSYS)
        }
    }

    private func transfer(
        _ slot: BridgeSlot, _ offset: UInt64, _ count: Int, _ description: LUNDescription, isWrite: Bool
    ) {
        let blockSize = UInt64(description.blockSize)
        guard offset <= description.byteCount, offset % blockSize == 0, count % Int(blockSize) == 0,
            count <= FUSEMount.maximumTransfer
        else { return self.reply(slot, error: EINVAL) }
        let left = description.byteCount - offset
        if UInt64(count) > left, isWrite { return self.reply(slot, error: ENOSPC) }
        slot.byteCount = Int(min(UInt64(count), left))
        guard slot.byteCount > 0 else {
            return isWrite ? self.reply(slot, fuse_write_out()) : self.reply(slot, error: 0)
        }
        let blocks = UInt32(slot.byteCount / Int(blockSize))
        slot.command =
            isWrite
            ? .write16(block: offset / blockSize, count: blocks, blockSize: description.blockSize)
            : .read16(block: offset / blockSize, count: blocks, blockSize: description.blockSize)
        self.enqueue(slot)
    }

    /// PUNCH becomes WRITE SAME with UNMAP and not UNMAP, which is only a hint: what the loop device punches for "write
    /// zeros" must read as zeros. A target that does not fence these commands is not sent them; XFS then writes the zeros.
    private func deallocate(_ slot: BridgeSlot, _ argument: fuse_fallocate_in, _ description: LUNDescription) {
        let blockSize = UInt64(description.blockSize)
        let punches = argument.mode & UInt32(FALLOC_FL_PUNCH_HOLE) != 0
        let zeroes = argument.mode & UInt32(FALLOC_FL_ZERO_RANGE) != 0
        guard description.fencesUnmap || self.configuration.allowsUnfencedUnmap, punches && description.isThin || zeroes
        else { return self.reply(slot, error: EOPNOTSUPP) }
        guard argument.offset % blockSize == 0, argument.length % blockSize == 0,
            argument.offset <= description.byteCount,
            argument.length <= description.byteCount - argument.offset,
            argument.length / blockSize <= UInt64(UInt32.max)
        else { return self.reply(slot, error: EINVAL) }
        guard argument.length > 0 else { return self.reply(slot, error: 0) }
        slot.byteCount = Int(blockSize)
        slot.data(slot.byteCount).initializeMemory(as: UInt8.self, repeating: 0)
        slot.command = .writeSame16(
            block: argument.offset / blockSize, count: UInt32(argument.length / blockSize),
            blockSize: description.blockSize, unmap: punches)
        self.enqueue(slot)
    }

    private static func attributes(_ description: LUNDescription) -> fuse_attr {
        var attributes = fuse_attr()
        attributes.ino = UInt64(FUSE_ROOT_ID)
        attributes.size = description.byteCount
        attributes.blocks = description.byteCount / 512
        attributes.mode = 0o100600  // a regular file
        attributes.nlink = 1
        attributes.blksize = UInt32(FUSEMount.pageSize)
        return attributes
    }

    // MARK: - Commands

    private func enqueue(_ slot: BridgeSlot) {
        if case .refusing = self.mode { return self.reply(slot, error: EIO) }
        self.waiting.append(slot)
    }

    private func issueWaiting(_ session: ISCSISession) {
        guard !self.waiting.isEmpty, !self.mustVerify else { return }
        let slots = self.waiting
        self.waiting = []
        for slot in slots { self.submit(slot, session) }
    }

    private func submit(_ slot: BridgeSlot, _ session: ISCSISession) {
        slot.vector.pointee.iov_base = slot.buffer.baseAddress.map { $0 + BridgeSlot.dataOffset }
        slot.vector.pointee.iov_len = slot.byteCount
        self.silence.issued(slot.number, at: .now)
        slot.flushes = self.writesAnswered
        let data = Unmanaged.passUnretained(slot).toOpaque()
        if !session.submit(
            slot.command, slot.command.direction == .none ? nil : slot.vector, 1, Self.completion, data)
        {
            self.completed(slot, .lost)
        }
    }

    private static let completion: iscsi_command_cb = { _, status, data, privateData in
        guard let privateData else { return }
        let slot = Unmanaged<BridgeSlot>.fromOpaque(privateData).takeUnretainedValue()
        var outcome = CommandOutcome.lost
        if let task = data?.assumingMemoryBound(to: scsi_task.self) {
            let code = UInt16(truncatingIfNeeded: task.pointee.sense.ascq)
            outcome = .of(
                status: status, senseKey: UInt8(truncatingIfNeeded: task.pointee.sense.key.rawValue), code: code)
            if outcome == .again, code == CommandOutcome.capacityChanged { slot.bridge.mustMeasure = true }
            if outcome == .success, slot.opcode != 0, task.pointee.residual_status == SCSI_RESIDUAL_UNDERFLOW,
                task.pointee.residual > 0
            {
                outcome = .failure(errno: EIO)
            }
            scsi_free_scsi_task(task)
        }
        slot.bridge.completed(slot, outcome)
    }

    /// Runs inside libiscsi: takes notes and answers the kernel, no more.
    private func completed(_ slot: BridgeSlot, _ outcome: CommandOutcome) {
        self.silence.ended(slot.number)
        if slot === self.heartbeat {
            switch outcome {
            case .success:
                let state = ISCSISession.parseReservation(Array(slot.data(24)))
                if state??.key != self.configuration.key.raw { self.mustVerify = true }
            case .verify: self.mustVerify = true
            default: break
            }
            return
        }
        if case .refusing = self.mode { return self.reply(slot, error: EIO) }
        switch outcome {
        case .success:
            self.verifications = 0
            self.succeeded(slot)
        case .failure(let error): self.reply(slot, error: error)
        case .again, .lost: self.waiting.append(slot)
        case .verify:
            self.mustVerify = true
            self.waiting.append(slot)
        case .later:
            self.waiting.append(slot)
            self.retryAt = .now + Self.busyDelay
        }
    }

    private func succeeded(_ slot: BridgeSlot) {
        switch fuse_opcode(slot.opcode) {
        case FUSE_READ:
            FUSEReply.send(self.fuse, unique: slot.unique, error: 0, slot.data(slot.byteCount))
            self.free.append(slot)
        case FUSE_WRITE:
            self.writesAnswered += 1
            var answer = fuse_write_out()
            answer.size = UInt32(slot.byteCount)
            self.reply(slot, answer)
        default:
            if fuse_opcode(slot.opcode) == FUSE_FSYNC { self.writesFlushed = max(self.writesFlushed, slot.flushes) }
            self.reply(slot, error: 0)
        }
    }

    private func reply(_ slot: BridgeSlot, error: Int32) {
        FUSEReply.send(self.fuse, unique: slot.unique, error: error)
        self.free.append(slot)
    }

    private func reply<Body: BitwiseCopyable>(_ slot: BridgeSlot, _ body: Body) {
        _ = FUSEReply.send(self.fuse, unique: slot.unique, body)
        self.free.append(slot)
    }
}
