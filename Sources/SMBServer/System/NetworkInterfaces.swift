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
            let capability = self.receiveQueues(of: name) > 1 ? NetworkInterfaceInfo.rssCapable : 0
            found.append(
                NetworkInterfaceInfo(
                    interfaceIndex: if_nametoindex(name), capability: capability,
                    linkSpeedBitsPerSecond: self.speed(of: String(cString: name)), address: bytes))
        }
        return found
    }

    /// SIOCETHTOOL and ETHTOOL_GCHANNELS, linux/sockios.h and linux/ethtool.h.
    private static let ethtool: UInt = 0x8946
    private static let getChannels: UInt32 = 0x3C

    /// Over how many queues the interface spreads what it receives; 0 where its driver does not say. Clients open further
    /// channels to an interface only where these are several: RSS_CAPABLE.
    private static func receiveQueues(of name: UnsafePointer<CChar>) -> UInt32 {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        // struct ethtool_channels: the command, four maxima, then what is in use: rx, tx, other, combined.
        var channels = [UInt32](repeating: 0, count: 9)
        channels[0] = self.getChannels
        let status = channels.withUnsafeMutableBytes { channels in
            // struct ifreq: a name of IFNAMSIZ bytes, then a pointer to the data.
            withUnsafeTemporaryAllocation(byteCount: 40, alignment: 8) { request -> Int32 in
                request.initializeMemory(as: UInt8.self, repeating: 0)
                request.copyMemory(from: UnsafeRawBufferPointer(start: name, count: min(strlen(name), 15)))
                request.storeBytes(of: channels.baseAddress, toByteOffset: 16, as: UnsafeMutableRawPointer?.self)
                // Valid until the call returns, which keeps neither.
                guard let address = request.baseAddress else { return -1 }
                return ioctl(descriptor, self.ethtool, address)
            }
        }
        return status == 0 ? channels[5] &+ channels[8] : 0
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
