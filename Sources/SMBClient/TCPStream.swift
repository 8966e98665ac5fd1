import CLinux
import Glibc
import SMB2Wire

/// One TCP connection with deadlines and the four-byte framing of [MS-SMB2] 2.1. Used by one thread.
package final class TCPStream {
    private static let windowByteCount = 256 << 10

    private let descriptor: Int32
    /// What was received and not yet taken.
    private let window: UnsafeMutableRawBufferPointer
    private var taken = 0
    private var filled = 0

    /// Tries each of the host's addresses until the deadline.
    package init(host: String, port: UInt16, deadline: Instant) throws(ClientError) {
        self.descriptor = try Self.connect(host, port, deadline)
        self.window = .allocate(byteCount: Self.windowByteCount, alignment: 16)
    }

    deinit {
        close(self.descriptor)
        self.window.deallocate()
    }

    /// Ends both directions at once; whoever waits finds the connection gone.
    package func shutdown() { _ = Glibc.shutdown(self.descriptor, Int32(SHUT_RDWR)) }

    /// Closes with a reset, as a crashed machine would be answered.
    package func abort() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        self.shutdown()
    }

    private static func connect(_ host: String, _ port: UInt16, _ deadline: Instant) throws(ClientError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw .disconnected("\(host): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var lastError = "no address"
        var next = list
        while let address = next {
            next = address.pointee.ai_next
            let descriptor = socket(
                address.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue),
                0)
            guard descriptor >= 0 else { throw .disconnected(String(cString: strerror(errno))) }
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            var error: Int32 = 0
            if Glibc.connect(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) != 0 {
                error = errno
                if error == EINPROGRESS {
                    error = ETIMEDOUT
                    if Self.wait(descriptor, Int16(POLLOUT), deadline) {
                        var length = socklen_t(MemoryLayout<Int32>.size)
                        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
                    }
                }
            }
            if error == 0 { return descriptor }
            close(descriptor)
            lastError = String(cString: strerror(error))
        }
        throw .disconnected("\(host):\(port): \(lastError)")
    }

    /// False when the deadline passed.
    private static func wait(_ descriptor: Int32, _ events: Int16, _ deadline: Instant) -> Bool {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        while true {
            let milliseconds = deadline.millisecondsLeft
            let count = poll(&entry, 1, Int32(clamping: milliseconds + 1))
            if count > 0 { return true }
            if count == 0 || (errno != EINTR) { return false }
        }
    }

    // MARK: Sending

    package func send(_ bytes: RawSpan, deadline: Instant) throws(ClientError) {
        let descriptor = self.descriptor
        try bytes.withUnsafeBytes { buffer throws(ClientError) in
            var sent = 0
            while sent < buffer.count {
                let count = Glibc.send(
                    descriptor, buffer.baseAddress.map { $0 + sent }, buffer.count - sent, Int32(MSG_NOSIGNAL))
                if count > 0 {
                    sent += count
                } else if errno == EAGAIN {
                    guard Self.wait(descriptor, Int16(POLLOUT), deadline) else { throw .timedOut("sending") }
                } else if errno != EINTR {
                    throw .disconnected("sending: \(String(cString: strerror(errno)))")
                }
            }
        }
    }

    /// A packet behind its four-byte header.
    package func sendFrame(_ packet: RawSpan, deadline: Instant) throws(ClientError) {
        let header = DirectTCP.header(length: packet.byteCount)
        let bytes = withUnsafeBytes(of: header) { Array($0) }
        try self.send(bytes.span.bytes, deadline: deadline)
        try self.send(packet, deadline: deadline)
    }

    // MARK: Receiving

    /// The next packet without its four-byte header.
    package func receiveFrame(deadline: Instant) throws(ClientError) -> [UInt8] {
        while self.filled - self.taken < DirectTCP.headerByteCount { try self.fill(deadline) }
        let header = UnsafeRawBufferPointer(self.window).loadUnaligned(fromByteOffset: self.taken, as: UInt32.self)
        let word = UInt32(bigEndian: header)
        guard word >> 24 == 0 else { throw .violation("no direct TCP header") }
        let length = Int(word)
        self.taken += DirectTCP.headerByteCount

        var error: ClientError?
        let packet = [UInt8](unsafeUninitializedCapacity: length) { target, count in
            let buffered = min(length, self.filled - self.taken)
            let raw = UnsafeMutableRawBufferPointer(target)
            raw.copyMemory(from: UnsafeRawBufferPointer(rebasing: self.window[self.taken..<(self.taken + buffered)]))
            self.taken += buffered
            count = buffered
            do throws(ClientError) {
                while count < length {
                    // What is large goes straight where it belongs; a small rest comes with what follows it.
                    if length - count >= Self.windowByteCount / 4 {
                        count += try self.receive(
                            UnsafeMutableRawBufferPointer(rebasing: raw[count..<length]), deadline)
                    } else {
                        try self.fill(deadline)
                        let more = min(length - count, self.filled - self.taken)
                        UnsafeMutableRawBufferPointer(rebasing: raw[count..<(count + more)]).copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: self.window[self.taken..<(self.taken + more)]))
                        self.taken += more
                        count += more
                    }
                }
            } catch let failure {
                error = failure
            }
        }
        if let error { throw error }
        return packet
    }

    /// Receives at least a byte into the window.
    private func fill(_ deadline: Instant) throws(ClientError) {
        if self.taken == self.filled {
            self.taken = 0
            self.filled = 0
        } else if self.filled == self.window.count {
            let rest = UnsafeRawBufferPointer(rebasing: self.window[self.taken..<self.filled])
            self.window.copyMemory(from: rest)
            self.filled -= self.taken
            self.taken = 0
        }
        self.filled += try self.receive(UnsafeMutableRawBufferPointer(rebasing: self.window[self.filled...]), deadline)
    }

    private func receive(_ target: UnsafeMutableRawBufferPointer, _ deadline: Instant) throws(ClientError) -> Int {
        while true {
            let count = recv(self.descriptor, target.baseAddress, target.count, 0)
            if count > 0 { return count }
            if count == 0 { throw .disconnected("the server closed the connection") }
            if errno == EAGAIN {
                guard Self.wait(self.descriptor, Int16(POLLIN), deadline) else { throw .timedOut("no answer") }
            } else if errno != EINTR {
                throw .disconnected("receiving: \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Something is there to be received, at this moment.
    package var hasArrived: Bool {
        var entry = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        return self.taken < self.filled || poll(&entry, 1, 0) > 0
    }

    /// Whether the server has closed the connection within the time given; for bad-input tests.
    package func isClosedByServer(withinMilliseconds limit: Int) -> Bool {
        let deadline = Instant.now.adding(milliseconds: limit)
        do throws(ClientError) {
            while true { _ = try self.receiveFrame(deadline: deadline) }
        } catch {
            if case .disconnected = error { return true }
            return false
        }
    }
}
