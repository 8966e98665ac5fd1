import CISCSI
import Glibc

/// One libiscsi session to one LUN, and synchronous commands on it. One thread owns it.
///
/// libiscsi's own reconnect is off: it does not keep the ISID, so the nexus would change and with it the registration. When
/// the connection is lost the session is over (`isLost`); whoever needs it logs in again.
package final class ISCSISession {
    /// With the one portal that it goes over.
    package private(set) var address: LUNAddress
    package let initiator: Initiator
    /// The connection ended, or a command passed its time-out: nothing more can be asked of this session.
    package private(set) var isLost = false
    private var timeout: Duration
    /// PTPL_C, once it was asked for: the target keeps registrations that were made with APTPL through a power loss.
    var persistsReservations: Bool?
    private var context: OpaquePointer?
    private let connectWait = WaitBox()
    private let otherWait = WaitBox()

    /// Unit attentions are reported once each; a target that has more than this to say is broken.
    static let maximumUnitAttentions = 16

    /// For connecting and for the login, where there is another way: a portal that is gone must not use up a takeover's time.
    package static let pathTimeout: Duration = .seconds(1)

    /// Connects, logs in and clears the unit attentions. Every step has the same time-out. Of several portals the first that answers
    /// is taken.
    package init(_ address: LUNAddress, as initiator: Initiator, timeout: Duration) throws(PlatformError) {
        let paths = address.paths
        self.address = paths[0]
        self.initiator = initiator
        self.timeout = timeout
        for (number, path) in paths.enumerated() {
            let isLast = number == paths.count - 1
            self.address = path
            self.timeout = isLast ? timeout : min(timeout, Self.pathTimeout)
            do throws(PlatformError) {
                try self.open()
                break
            } catch {
                guard !isLast, error.kind == .unreachable else { throw error }
            }
        }
        self.timeout = timeout
    }

    private func open() throws(PlatformError) {
        self.isLost = false
        let (address, initiator) = (self.address, self.initiator)
        guard let context = iscsi_create_context(initiator.name) else {
            throw PlatformError(.system(errno: ENOMEM), "libiscsi has no context for \(initiator.name)")
        }
        self.context = context
        iscsi_set_targetname(context, address.target)
        iscsi_set_session_type(context, ISCSI_SESSION_NORMAL)
        iscsi_set_header_digest(context, ISCSI_HEADER_DIGEST_NONE)
        iscsi_set_isid_random(context, initiator.isid.random, UInt32(initiator.isid.qualifier))
        if let credentials = address.credentials {
            iscsi_set_initiator_username_pwd(context, credentials.user, credentials.password)
        }
        iscsi_set_noautoreconnect(context, 1)
        // These are read when the socket is made; iscsi_set_tcp_keepalive() would have no effect before connect.
        iscsi_set_tcp_keepidle(context, 2)
        iscsi_set_tcp_keepcnt(context, 3)
        iscsi_set_tcp_keepintvl(context, 1)
        iscsi_set_tcp_user_timeout(context, Int32(clamping: Self.userTimeoutMilliseconds))

        try self.run("no connection to \(address.portal)", self.connectWait) { context, wait in
            iscsi_connect_async(context, address.portal, Self.waitCallback, wait)
        }
        try self.run("the login was not answered", self.otherWait) { context, wait in
            iscsi_login_async(context, Self.waitCallback, wait)
        }
        try self.testUnitReady()
    }

    private static let userTimeoutMilliseconds = 5000

    deinit {
        self.destroy()
    }

    /// Ends the session without a word to the target: whatever is under way is cancelled, its callbacks run now.
    package func destroy() {
        self.isLost = true
        guard let context = self.context else { return }
        self.context = nil
        iscsi_destroy_context(context)
    }

    /// Says goodbye, so that the target forgets the session at once.
    package func logout() {
        guard !self.isLost else { return }
        _ = try? self.run("log out", self.otherWait) { context, wait in
            iscsi_logout_async(context, Self.waitCallback, wait)
        }
        self.destroy()
    }

    // MARK: - For an event loop (the bridge)

    /// Read anew every turn: libiscsi may change it.
    var descriptor: Int32 { self.context.map { iscsi_get_fd($0) } ?? -1 }
    var events: Int32 { self.context.map { iscsi_which_events($0) } ?? 0 }
    var nopsInFlight: Int32 { self.context.map { iscsi_get_nops_in_flight($0) } ?? 0 }

    /// Lets libiscsi read and write; callbacks run inside. A connection that ended makes the session lost.
    func service(_ revents: Int32) {
        guard let context = self.context else { return }
        if iscsi_service(context, revents) < 0 { self.isLost = true }
        if revents & (POLLHUP | POLLERR | pollHangUp) != 0 { self.isLost = true }
    }

    func sendNop() {
        guard let context = self.context else { return }
        if iscsi_nop_out_async(context, nil, nil, 0, nil) != 0 { self.isLost = true }
    }

    /// Issues a command; `vector` must live until the callback ran. False when libiscsi would not take it: the session is lost.
    func submit(
        _ command: SCSICommand, _ vector: UnsafeMutablePointer<scsi_iovec>?, _ count: Int32,
        _ callback: @escaping iscsi_command_cb, _ privateData: UnsafeMutableRawPointer
    ) -> Bool {
        guard let context = self.context, !self.isLost else { return false }
        var block = command.block
        let direction: scsi_xfer_dir =
            switch command.direction {
            case .none: SCSI_XFER_NONE
            case .fromTarget: SCSI_XFER_READ
            case .toTarget: SCSI_XFER_WRITE
            }
        guard
            let task = scsi_create_task(
                Int32(block.count), &block, Int32(direction.rawValue), Int32(command.byteCount))
        else { return false }
        if let vector {
            if command.direction == .toTarget {
                scsi_task_set_iov_out(task, vector, count)
            } else {
                scsi_task_set_iov_in(task, vector, count)
            }
        }
        guard
            iscsi_scsi_command_async(
                context, Int32(self.address.lun), task, callback, nil, privateData) == 0
        else {
            scsi_free_scsi_task(task)
            self.isLost = true
            return false
        }
        return true
    }

    var lastError: String {
        guard let context = self.context, let text = iscsi_get_error(context) else { return "" }
        return String(cString: text)
    }

    // MARK: - Synchronous commands

    /// What a command came back with.
    struct Reply {
        var status: Int32
        var senseKey: UInt8
        var code: UInt16
        var data: [UInt8]
    }

    /// One command, whatever its status. Throws only when there was no answer, and then the session is lost.
    func exchange(_ command: SCSICommand, output: [UInt8] = []) throws(PlatformError) -> Reply {
        precondition(command.direction != .toTarget || output.count == command.byteCount)
        let count = max(command.byteCount, 1)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        let vector = UnsafeMutablePointer<scsi_iovec>.allocate(capacity: 1)
        let wait = UnsafeMutablePointer<Wait>.allocate(capacity: 1)
        wait.initialize(to: Wait())
        // Nothing of this is referred to any more when this returns: the command has ended, or the context is destroyed.
        defer {
            buffer.deallocate()
            vector.deallocate()
            wait.deallocate()
        }
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        buffer.copyBytes(from: output)
        vector.initialize(to: scsi_iovec(iov_base: buffer.baseAddress, iov_len: command.byteCount))
        guard self.submit(command, command.direction == .none ? nil : vector, 1, Self.taskCallback, wait) else {
            throw self.lost("the command could not be sent")
        }
        try self.pump(wait)
        let result = wait.pointee
        switch UInt32(bitPattern: result.status) {
        case UInt32(SCSI_STATUS_CANCELLED.rawValue), UInt32(SCSI_STATUS_ERROR.rawValue),
            UInt32(SCSI_STATUS_TIMEOUT.rawValue):
            throw self.lost(self.lastError)
        default:
            break
        }
        let received = command.direction == .fromTarget ? max(0, command.byteCount - result.residual) : 0
        return Reply(
            status: result.status, senseKey: result.senseKey, code: result.code, data: Array(buffer.prefix(received)))
    }

    /// One command that must succeed; unit attentions are taken note of and the command is repeated.
    @discardableResult
    func command(_ command: SCSICommand, _ name: String, output: [UInt8] = []) throws(PlatformError) -> [UInt8] {
        for _ in 0..<Self.maximumUnitAttentions {
            let reply = try self.exchange(command, output: output)
            if reply.status == 0 { return reply.data }
            if reply.status == ISCSISession.checkCondition, reply.senseKey == 6 { continue }
            throw Self.refusal(name, self.address, reply)
        }
        throw PlatformError(.conflict, "\(self.address): \(name): one unit attention after the other")
    }

    static let checkCondition: Int32 = 2
    static let reservationConflict: Int32 = 0x18

    @inline(never)
    static func refusal(_ name: String, _ address: LUNAddress, _ reply: Reply) -> PlatformError {
        if reply.status == Self.reservationConflict {
            return PlatformError(.conflict, "\(address): \(name): reservation conflict: another node holds the LUN")
        }
        if reply.senseKey == 5, reply.code == 0x2500 {
            return PlatformError(.notFound, "\(address): the target has no such LUN; check the LUN number")
        }
        let sense = "\(String(reply.senseKey, radix: 16))/\(String(reply.code, radix: 16))"
        return PlatformError(
            .scsi(status: reply.status, senseKey: reply.senseKey, code: reply.code),
            "\(address): \(name) failed: status \(reply.status), sense \(sense)")
    }

    // MARK: - Waiting

    fileprivate struct Wait {
        var done = false
        var status: Int32 = 0
        var senseKey: UInt8 = 0
        var code: UInt16 = 0
        var residual = 0
    }

    /// Connect, login and logout: the pointer lives as long as the session, because libiscsi calls connect's callback a
    /// second time when the connection ends.
    private static let waitCallback: iscsi_command_cb = { _, status, _, privateData in
        guard let wait = privateData?.assumingMemoryBound(to: Wait.self), !wait.pointee.done else { return }
        wait.pointee.status = status
        wait.pointee.done = true
    }

    private static let taskCallback: iscsi_command_cb = { _, status, data, privateData in
        guard let wait = privateData?.assumingMemoryBound(to: Wait.self) else { return }
        wait.pointee.status = status
        if let task = data?.assumingMemoryBound(to: scsi_task.self) {
            wait.pointee.senseKey = UInt8(truncatingIfNeeded: task.pointee.sense.key.rawValue)
            wait.pointee.code = UInt16(truncatingIfNeeded: task.pointee.sense.ascq)
            if task.pointee.residual_status == SCSI_RESIDUAL_UNDERFLOW { wait.pointee.residual = task.pointee.residual }
            scsi_free_scsi_task(task)
        }
        wait.pointee.done = true
    }

    private final class WaitBox {
        let pointer = UnsafeMutablePointer<Wait>.allocate(capacity: 1)
        init() { self.pointer.initialize(to: Wait()) }
        deinit { self.pointer.deallocate() }
    }

    private func run(
        _ name: String, _ box: WaitBox, _ begin: (OpaquePointer, UnsafeMutableRawPointer) -> Int32
    ) throws(PlatformError) {
        box.pointer.pointee = Wait()
        guard let context = self.context, begin(context, box.pointer) == 0 else { throw self.lost(name) }
        try self.pump(box.pointer, name)
        guard box.pointer.pointee.status == 0 else { throw self.lost(name) }
    }

    fileprivate func runLogicalUnitReset() throws(PlatformError) {
        let lun = UInt32(self.address.lun)
        try self.run("LOGICAL UNIT RESET", self.otherWait) { context, wait in
            iscsi_task_mgmt_lun_reset_async(context, lun, Self.resetCallback, wait)
        }
    }

    /// Task management answers with a response code of its own, RFC 3720 10.6.1; anything but 0 is a refusal.
    private static let resetCallback: iscsi_command_cb = { _, status, data, privateData in
        guard let wait = privateData?.assumingMemoryBound(to: Wait.self), !wait.pointee.done else { return }
        let response = data?.assumingMemoryBound(to: UInt32.self).pointee ?? 0
        wait.pointee.status = status != 0 ? status : Int32(bitPattern: response)
        wait.pointee.done = true
    }

    /// Serves the connection until the callback ran, the connection ended, or the time was up; in the latter two cases the
    /// session is destroyed first, so that nothing refers to the caller's buffers any more.
    private func pump(_ wait: UnsafeMutablePointer<Wait>, _ name: String = "no answer") throws(PlatformError) {
        let deadline = ContinuousClock.now + self.timeout
        while !wait.pointee.done {
            if self.isLost { throw self.lost(name) }
            let events = self.events
            let descriptor = self.descriptor
            guard descriptor >= 0 else { throw self.lost(name) }
            let revents = waitForEvent(descriptor, events | pollHangUp, until: deadline)
            if revents == 0 {
                throw self.lost("\(name): no answer within \(self.timeout)", timedOut: true)
            }
            self.service(revents)
        }
    }

    /// The session is over. Called outside of libiscsi's callbacks only.
    @inline(never)
    private func lost(_ what: String, timedOut: Bool = false) -> PlatformError {
        let detail = self.lastError.filter { !$0.isNewline }
        self.destroy()
        // RFC 3720 10.13.5: class 2 is the initiator's fault; libiscsi gives the number in its text only.
        if detail.contains("(513)") || detail.contains("(514)") || detail.contains("Authentication") {
            return PlatformError(
                .loginRefused,
                "\(self.address): the target refused the login of \(self.initiator.name): check the user and password and "
                    + "the target's access list")
        }
        if detail.contains("(515)") {
            return PlatformError(.notFound, "\(self.address): the portal has no target \(self.address.target) for us")
        }
        // "Can not reconnect right now" is libiscsi's way to say that the connection is gone.
        let reason = timedOut || detail.isEmpty || detail.contains("reconnect") ? what : "\(what): \(detail)"
        return PlatformError(.unreachable, "\(self.address): \(reason)")
    }
}

/// What the target says about the LUN.
package struct LUNDescription: Equatable, Sendable {
    package var vendor: String
    package var product: String
    package var blockSize: UInt32
    package var blockCount: UInt64
    /// Blocks can be deallocated (LBPME), and what was deallocated reads as zeros (LBPRZ).
    package var isThin: Bool
    package var readsZeros: Bool
    /// MAXIMUM TRANSFER LENGTH of the block limits page, in bytes; nil where the target sets none.
    package var maximumTransfer: Int?

    package var byteCount: UInt64 { self.blockCount * UInt64(self.blockSize) }

    /// Linux tgt lets UNMAP and WRITE SAME of a node that lost its registration through (measured): there they are not used.
    package var fencesUnmap: Bool { self.vendor != "IET" }
}

extension ISCSISession {
    /// Clears the unit attentions that the login brought about.
    func testUnitReady() throws(PlatformError) {
        try self.command(.testUnitReady, "TEST UNIT READY")
    }

    /// The LUN's size at this moment, in blocks and in bytes of one.
    func capacity() throws(PlatformError) -> (blockCount: UInt64, blockSize: UInt32) {
        let capacity = try self.command(.readCapacity16, "READ CAPACITY (16)")
        guard let last = loadBigEndian(UInt64.self, capacity, at: 0), last < UInt64.max >> 16,
            let blockSize = loadBigEndian(UInt32.self, capacity, at: 8)
        else { throw self.malformed("READ CAPACITY (16)") }
        return (last + 1, blockSize)
    }

    package func describe() throws(PlatformError) -> LUNDescription {
        let inquiry = try self.command(.inquiry(page: nil, byteCount: 96), "INQUIRY")
        guard inquiry.count >= 36 else { throw self.malformed("INQUIRY") }
        guard inquiry[0] & 0xE0 == 0 else {
            throw PlatformError(.notFound, "\(self.address): the target has no such LUN; check the LUN number")
        }
        guard inquiry[0] & 0x1F == 0 else {
            throw PlatformError(.notFound, "\(self.address): not a disk (device type \(inquiry[0] & 0x1F))")
        }
        let capacity = try self.command(.readCapacity16, "READ CAPACITY (16)")
        guard let last = loadBigEndian(UInt64.self, capacity, at: 0), last < UInt64.max >> 16,
            let blockSize = loadBigEndian(UInt32.self, capacity, at: 8), capacity.count > 14
        else { throw self.malformed("READ CAPACITY (16)") }
        guard blockSize == 512 || blockSize == 4096 else {
            throw PlatformError(
                .invalid, "\(self.address): a block size of \(blockSize) is not supported (512 or 4096 is)")
        }
        var maximumTransfer: Int?
        let limits = try self.exchange(.inquiry(page: 0xB0, byteCount: 64))
        if limits.status == 0, limits.data.count >= 12, limits.data[1] == 0xB0,
            let blocks = loadBigEndian(UInt32.self, limits.data, at: 8), blocks != 0
        {
            maximumTransfer = Int(blocks) * Int(blockSize)
        }
        return LUNDescription(
            vendor: Self.text(inquiry[8..<16]), product: Self.text(inquiry[16..<32]), blockSize: blockSize,
            blockCount: last + 1, isThin: capacity[14] & 0x80 != 0, readsZeros: capacity[14] & 0x40 != 0,
            maximumTransfer: maximumTransfer)
    }

    package func read(block: UInt64, count: UInt32, blockSize: UInt32) throws(PlatformError) -> [UInt8] {
        let data = try self.command(.read16(block: block, count: count, blockSize: blockSize), "READ (16)")
        guard data.count == Int(count) * Int(blockSize) else { throw self.malformed("READ (16)") }
        return data
    }

    package func write(block: UInt64, blockSize: UInt32, _ data: [UInt8]) throws(PlatformError) {
        precondition(data.count % Int(blockSize) == 0 && !data.isEmpty)
        let count = UInt32(data.count / Int(blockSize))
        try self.command(.write16(block: block, count: count, blockSize: blockSize), "WRITE (16)", output: data)
    }

    package func synchronizeCache() throws(PlatformError) {
        try self.command(.synchronizeCache16, "SYNCHRONIZE CACHE (16)")
    }

    @inline(never)
    func malformed(_ command: String) -> PlatformError {
        PlatformError(.conflict, "\(self.address): the target's answer to \(command) makes no sense")
    }

    /// INQUIRY's texts are ASCII, padded with spaces.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        var bytes = bytes
        while let last = bytes.last, last == 0x20 || last == 0 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// LOGICAL UNIT RESET: ends every command in flight, of all sessions; returns when they have ended.
    package func resetLogicalUnit() throws(PlatformError) {
        try self.runLogicalUnitReset()
    }
}
