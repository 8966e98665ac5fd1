import Glibc
import NIOCore

/// A socket that listens already when nobody has looked at it yet: that an address cannot be had is known at once, without
/// waiting for the thread that accepts.
enum ListeningSocket {
    struct Failure: Error, CustomStringConvertible {
        let description: String

        init(_ call: String) { self.description = "\(call): \(String(cString: strerror(errno)))" }
    }

    private static let backlog: Int32 = 64

    /// The caller closes the descriptor. The port is the one that the system chose where 0 was asked for.
    static func open(_ endpoint: Endpoint) throws -> (descriptor: Int32, port: Int) {
        let address = try SocketAddress.makeAddressResolvingHost(endpoint.host, port: endpoint.port)
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        do {
            var one: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size) == 0 else { throw Failure("setsockopt") }
            guard address.withSockAddr({ bind(descriptor, $0, socklen_t($1)) }) == 0 else { throw Failure("bind") }
            guard listen(descriptor, Self.backlog) == 0 else { throw Failure("listen") }
            return (descriptor, try Self.port(of: descriptor))
        } catch {
            close(descriptor)
            throw error
        }
    }

    private static func port(of descriptor: Int32) throws -> Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { throw Failure("getsockname") }
        return withUnsafePointer(to: &storage) {
            // The port lies at the same place in both families.
            $0.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Int(UInt16(bigEndian: $0.pointee.sin_port)) }
        }
    }
}
