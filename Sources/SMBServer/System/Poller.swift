import CLinux
import Glibc

/// An epoll instance with an eventfd that wakes it from other threads.
final class Poller: Sendable {
    /// Events taken in one wait.
    static let batch = 64
    /// The data of the eventfd's own events.
    static let wakeToken = UInt64.max

    private let epoll: Int32
    private let wakeup: Int32

    init() throws(ServerError) {
        self.epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard self.epoll >= 0 else { throw ServerError("epoll_create1", errno: errno) }
        self.wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard self.wakeup >= 0 else { throw ServerError("eventfd", errno: errno) }
        try self.add(self.wakeup, reads: true, writes: false, token: Self.wakeToken)
    }

    deinit {
        close(self.wakeup)
        close(self.epoll)
    }

    private func mask(_ reads: Bool, _ writes: Bool) -> UInt32 {
        (reads ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0) | (writes ? EPOLLOUT.rawValue : 0)
    }

    func add(_ descriptor: Int32, reads: Bool, writes: Bool, token: UInt64) throws(ServerError) {
        let result = clinux_epoll_control(self.epoll, EPOLL_CTL_ADD, descriptor, self.mask(reads, writes), token)
        guard result == 0 else { throw ServerError("epoll_ctl", errno: -result) }
    }

    /// What can be read there is told to one of the pollers that have it, one that waits if there is any.
    func addForOne(_ descriptor: Int32, token: UInt64) throws(ServerError) {
        let mask = EPOLLIN.rawValue | EPOLLEXCLUSIVE.rawValue
        let result = clinux_epoll_control(self.epoll, EPOLL_CTL_ADD, descriptor, mask, token)
        guard result == 0 else { throw ServerError("epoll_ctl", errno: -result) }
    }

    func change(_ descriptor: Int32, reads: Bool, writes: Bool, token: UInt64) {
        _ = clinux_epoll_control(self.epoll, EPOLL_CTL_MOD, descriptor, self.mask(reads, writes), token)
    }

    func remove(_ descriptor: Int32) {
        _ = clinux_epoll_control(self.epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    /// From any thread.
    func wake() {
        var one: UInt64 = 1
        _ = write(self.wakeup, &one, 8)
    }

    func clearWakeup() {
        var count: UInt64 = 0
        _ = read(self.wakeup, &count, 8)
    }

    /// How many events were stored into the two arrays.
    func wait(_ events: inout [UInt32], _ tokens: inout [UInt64], timeoutMilliseconds: Int32) -> Int {
        let count = clinux_epoll_wait(self.epoll, &events, &tokens, Int32(Self.batch), timeoutMilliseconds)
        return max(0, Int(count))
    }
}

/// Why the server cannot start or go on: for the administrator.
package struct ServerError: Error, CustomStringConvertible, Sendable {
    package let description: String

    package init(_ description: String) { self.description = description }

    init(_ operation: String, errno code: Int32) {
        self.description = "\(operation): \(String(cString: strerror(code)))"
    }
}
