import CLinux
import Glibc
import StateRecords

enum SocketAddress {
    private static func parts(_ storage: sockaddr_storage) -> (address: [UInt8], port: UInt16) {
        withUnsafeBytes(of: storage) { bytes in
            // sockaddr_in: port at 2, address at 4; sockaddr_in6: port at 2, address at 8. Both in network order.
            let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
            guard Int32(storage.ss_family) == AF_INET6 else { return (Array(bytes[4..<8]), port) }
            let address = Array(bytes[8..<24])
            // ::ffff:a.b.c.d is an IPv4 client of a dual-stack socket.
            let mapped = address[0..<10].allSatisfy { $0 == 0 } && address[10] == 0xFF && address[11] == 0xFF
            return (mapped ? Array(address[12...]) : address, port)
        }
    }

    /// Both ends of a connected socket.
    static func clientRecord(_ descriptor: Int32, peer: sockaddr_storage) -> ClientRecord {
        var local = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &local) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        let client = self.parts(peer)
        let server = self.parts(local)
        return ClientRecord(
            clientAddress: client.address, clientPort: client.port, serverAddress: server.address,
            serverPort: server.port)
    }

    /// A listening socket on every address of the machine, or on the loopback ones only.
    static func listen(port: UInt16, address: String) throws(ServerError) -> Int32 {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(address, "\(port)", &hints, &found)
        guard result == 0, let first = found else {
            throw ServerError("\(address) is not an address to listen on: \(String(cString: gai_strerror(result)))")
        }
        defer { freeaddrinfo(found) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(first.pointee.ai_family, type, 0)
        guard descriptor >= 0 else { throw ServerError("socket", errno: errno) }
        var one: Int32 = 1
        var zero: Int32 = 0
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        if first.pointee.ai_family == AF_INET6 {
            setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &zero, socklen_t(MemoryLayout<Int32>.size))
        }
        guard bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0,
            Glibc.listen(descriptor, 1024) == 0
        else {
            let error = ServerError("port \(port) cannot be listened on", errno: errno)
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// The port that a listening socket has.
    static func port(of descriptor: Int32) -> UInt16 {
        var local = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &local) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return self.parts(local).port
    }
}
