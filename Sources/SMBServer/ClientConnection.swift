import CLinux
import Glibc
import SMB2Wire
import SMBCompression
import SMBServerCore

/// One client's TCP connection: receives into a pooled window, parses in place, answers into one pooled buffer that is
/// sent when it is full or nothing is left to parse. Confined to its loop's thread.
final class ClientConnection {
    /// A send is gathered up to this.
    static let gatherByteCount = 1 << 20
    /// Full receives before the loop turns to the next connection.
    private static let receivesInARow = 16
    /// Frames that wait for a disk or the journal; at this number nothing more is read until one has left.
    static let heldLimit = 4096

    let descriptor: Int32
    let id: Connection.ID
    let slot: Int
    unowned let loop: Loop

    var window: ReceiveWindow?
    /// The length of the last frame: the next is probably like it, and should not be moved into a larger window.
    private var expected = BufferPool.windowByteCount
    /// Replies that are ready, and how much of them the kernel took.
    private var out: WireWriter?
    private var sent = 0
    /// The kernel takes no more: nothing is parsed until it does.
    private var isBlocked = false
    /// It could send, but must not: see ``ServingLease``.
    private var waitsForLease = false
    private var isClosed = false

    var held: [HeldFrame] = []
    /// Replies are being gathered: held frames wait until the current one is complete.
    private(set) var isParsing = false
    var mustRelease = false
    /// Bytes of READs that wait for the disk.
    var missingBytes = 0
    /// Nothing is read until some of what waits has left.
    private var isStopped = false
    var nextFrame: UInt64 = 1
    var security: ConnectionSecurity
    /// When something was sent that must reach the client, or be said over another channel, and how many such messages are
    /// under way; nil: none.
    var delivery: (since: UInt64, count: Int)?
    /// Set by NEGOTIATE.
    var compression: CompressionAgreement?

    init(_ descriptor: Int32, id: Connection.ID, slot: Int, loop: Loop) {
        self.descriptor = descriptor
        self.id = id
        self.slot = slot
        self.loop = loop
        self.security = ConnectionSecurity()
    }

    /// All that was to leave is in the kernel.
    var hasSentAll: Bool { !self.isBlocked }

    /// Nothing waits for a disk or the journal, and all replies are in the kernel. What waits for a break does not count: it
    /// may take as long as a client lets it.
    var isQuiet: Bool { self.held.allSatisfy { $0.awaited != nil } && !self.isBlocked }

    private var isFull: Bool { self.held.count >= Self.heldLimit || self.missingBytes >= Self.missingByteLimit }

    private var mayParse: Bool { !self.isClosed && !self.isBlocked && !self.loop.isFrozen && !self.isFull }

    // MARK: Receiving

    func readable() {
        // Who sends without a pause must not keep the loop from its other connections: epoll tells of the rest.
        for _ in 0..<Self.receivesInARow where self.mayParse {
            let window = self.window ?? self.loop.pool.takeWindow(holding: self.expected)
            self.window = window
            let room = window.capacity - window.end
            let count = recv(self.descriptor, window.base + window.end, room, 0)
            if count == 0 { return self.close(nil) }
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: break
                default: return self.close(nil)
                }
                break
            }
            window.end += count
            self.parse()
            // Less than there was room for: the socket is empty, epoll tells when it no longer is.
            if count < room { break }
        }
        self.releaseWindow()
    }

    private func releaseWindow() {
        guard !self.isClosed, let window = self.window, window.count == 0 else { return }
        self.window = nil
        self.loop.pool.giveBack(window)
    }

    /// Handles the whole frames in the window and sends what they are answered with.
    private func parse() {
        guard let window = self.window else { return }
        self.isParsing = true
        var writer = self.out.take() ?? self.loop.pool.takeWriter()
        while self.mayParse, window.count >= DirectTCP.headerByteCount {
            let bytes = UnsafeMutableRawBufferPointer(start: window.base + window.start, count: window.count)
            let length: Int
            do throws(WireError) { length = try DirectTCP.length(in: bytes.bytes) } catch {
                self.out = writer
                return self.close("\(error)")
            }
            guard length <= (self.security.isAuthenticated ? Limits.message : Limits.messageBeforeLogon) else {
                self.out = writer
                return self.close("a message of \(length) bytes")
            }
            let whole = DirectTCP.headerByteCount + length
            guard whole <= window.count else {
                self.makeRoom(for: whole)
                break
            }
            window.start += whole
            self.expected = whole
            let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[DirectTCP.headerByteCount..<whole])
            if let reason = self.handle(frame, into: &writer) {
                self.out = writer
                return self.close(reason)
            }
            if writer.count - self.sent >= Self.gatherByteCount { self.flush(&writer) }
            guard self.mustRelease else { continue }
            // What was said behind this frame stands before the next one's answer.
            self.mustRelease = false
            self.isParsing = false
            self.out = writer
            self.release()
            self.isParsing = true
            writer = self.out.take() ?? self.loop.pool.takeWriter()
        }
        self.isParsing = false
        if self.window?.count == 0 {
            self.window?.start = 0
            self.window?.end = 0
        }
        self.flush(&writer)
        self.putBack(writer)
        // As full as it may be: epoll would tell of more requests without end.
        if self.isFull {
            self.isStopped = true
            self.updateInterest()
        }
    }

    /// Something left.
    func resumeIfStopped() {
        guard self.isStopped, !self.isFull else { return }
        self.isStopped = false
        self.resume()
    }

    /// Makes the window hold a frame of which only the beginning is there.
    private func makeRoom(for byteCount: Int) {
        guard let window = self.window, window.capacity - window.start < byteCount else { return }
        if byteCount <= window.capacity {
            memmove(window.base, window.base + window.start, window.count)
            window.end = window.count
            window.start = 0
            return
        }
        let larger = self.loop.pool.takeWindow(holding: byteCount)
        memcpy(larger.base, window.base + window.start, window.count)
        larger.end = window.count
        self.window = larger
        self.loop.pool.giveBack(window)
    }

    // MARK: Sending

    private func putBack(_ writer: consuming WireWriter) {
        guard !self.isClosed, self.sent < writer.count else {
            self.sent = 0
            writer.reset()
            return self.loop.pool.giveBack(writer)
        }
        self.out = writer
    }

    /// Sends what is ready. What the kernel does not take waits for `writable`.
    private func flush(_ writer: inout WireWriter) {
        guard !self.isClosed, !self.isBlocked, !self.loop.server.isFenced else { return }
        while self.sent < writer.count {
            guard self.loop.server.mayAnswer else {
                self.waitsForLease = true
                self.isBlocked = true
                return self.updateInterest()
            }
            let (from, to) = (self.sent, writer.count)
            let count = writer.withUnsafeMutableBytes(in: from..<to) { bytes in
                Glibc.send(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN:
                    self.isBlocked = true
                    return self.updateInterest()
                default:
                    // The reader finds out that the connection is gone.
                    self.sent = writer.count
                    shutdown(self.descriptor, Int32(SHUT_RDWR))
                    return
                }
            }
            self.sent += count
        }
        self.sent = 0
        writer.reset()
    }

    func updateInterest() {
        guard !self.isClosed else { return }
        self.loop.poller.change(
            self.descriptor, reads: self.mayParse, writes: self.isBlocked && !self.waitsForLease,
            token: UInt64(self.slot))
    }

    func leaseExtended() {
        guard self.waitsForLease else { return }
        self.waitsForLease = false
        self.writable()
    }

    func writable() {
        guard self.isBlocked, !self.isClosed, var writer = self.out.take() else { return }
        self.isBlocked = false
        self.flush(&writer)
        self.putBack(writer)
        guard !self.isBlocked else { return }
        self.updateInterest()
        self.resume()
        if self.loop.isFrozen { self.loop.reportIfQuiet() }
    }

    /// Goes on with what was received before it had to stop.
    func resume() {
        guard self.mayParse else { return }
        self.updateInterest()
        if self.window != nil {
            self.parse()
            self.releaseWindow()
        }
    }

    /// Sends frames that are complete apart from their protection.
    func sendNow(_ body: (inout WireWriter) -> Void) {
        guard !self.isClosed else { return }
        var writer = self.out.take() ?? self.loop.pool.takeWriter()
        body(&writer)
        self.flush(&writer)
        self.putBack(writer)
    }

    // MARK: Ending

    /// - Parameter reason: what the client did wrong; nil when it just went.
    func close(_ reason: String?) {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.isParsing = false
        if let reason { Log.write("connection \(self.id) is closed: \(reason)") }
        self.loop.poller.remove(self.descriptor)
        Glibc.close(self.descriptor)
        if let window = self.window.take() { self.loop.pool.giveBack(window) }
        if let writer = self.out.take() { self.loop.pool.giveBack(writer) }
        self.held.removeAll()
        self.loop.closed(self)
    }
}
