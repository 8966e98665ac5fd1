import Glibc
import SMB2Wire

/// The addresses of this machine, for FSCTL_QUERY_NETWORK_INTERFACE_INFO. [MS-SMB2] 2.2.32.5.
enum NetworkInterfaces {
    static var all: [NetworkInterfaceInfo] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [NetworkInterfaceInfo] = []
        var next = list
        while let entry = next, found.count < NetworkInterfaceInfo.maximumEntries {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, let name = entry.pointee.ifa_name else { continue }
            let bytes: [UInt8]
            // sockaddr_in has the address at 4, sockaddr_in6 at 8.
            switch Int32(address.pointee.sa_family) {
            case AF_INET: bytes = Array(UnsafeRawBufferPointer(start: address, count: 8)[4..<8])
            case AF_INET6: bytes = Array(UnsafeRawBufferPointer(start: address, count: 24)[8..<24])
            default: continue
            }
            found.append(
                NetworkInterfaceInfo(
                    interfaceIndex: if_nametoindex(name), capability: 0,
                    linkSpeedBitsPerSecond: self.speed(of: String(cString: name)), address: bytes))
        }
        return found
    }

    /// What the driver says; 0 where it has no speed (loopback, bridges).
    private static func speed(of name: String) -> UInt64 {
        let descriptor = open("/sys/class/net/\(name)/speed", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 32)
        let count = read(descriptor, &text, text.count)
        guard count > 0 else { return 0 }
        let megabits = String(decoding: text[..<count], as: UTF8.self).split(separator: "\n").first.flatMap {
            UInt64($0)
        }
        return (megabits ?? 0) * 1_000_000
    }
}
