import Glibc

/// netlink(7) in the few requests that a cluster node makes. Numbers are host order here.
enum Netlink {
    enum Family: Int32 {
        /// rtnetlink(7).
        case route = 0
        /// sock_diag(7).
        case socketDiagnosis = 4
    }

    static let linkGroup: UInt32 = 1

    /// Of both families; 20 and 21 mean something else in ``Family/socketDiagnosis``.
    enum MessageType: UInt16 {
        case error = 2
        case done = 3
        case newLink = 16
        case getLink = 18
        case newAddress = 20
        case deleteAddress = 21
        case getAddress = 22
        case newRule = 32
        case deleteRule = 33

        static let socketsByFamily = MessageType.newAddress
        static let destroySocket = MessageType.deleteAddress
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let request = Flags(rawValue: 0x01)
        static let acknowledge = Flags(rawValue: 0x04)
        static let dump = Flags(rawValue: 0x300)
        static let create = Flags(rawValue: 0x400)
        static let exclusive = Flags(rawValue: 0x200)
        static let replace = Flags(rawValue: 0x100)
    }

    static let headerSize = 16

    static func message(_ type: MessageType, _ flags: Flags, sequence: UInt32, _ body: [UInt8]) -> [UInt8] {
        native(UInt32(Self.headerSize + body.count)) + native(type.rawValue) + native(flags.rawValue) + native(sequence)
            + native(UInt32(0)) + body
    }

    static func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
        return native(UInt16(4 + value.count)) + native(type) + value + padding
    }

    static let addressLocal: UInt16 = 2
    static let addressAddress: UInt16 = 1
    private static let addressCacheInformation: UInt16 = 6
    /// IFA_F_NODAD: an IPv6 address is usable at once. That it is nowhere else is the fence's business.
    private static let noDuplicateDetection: UInt8 = 0x02

    /// `lifetime`: seconds until the kernel takes the address away, preferred and valid alike (ifa_cacheinfo). Nil: it stays.
    static func addressBody(
        _ address: IPAddress, prefixLength: UInt8, interface: UInt32, lifetime: UInt32? = nil
    ) -> [UInt8] {
        let flags = address.isIPv6 ? Self.noDuplicateDetection : 0
        let header = [UInt8(truncatingIfNeeded: address.family), prefixLength, flags, 0] + native(interface)
        let body =
            header + Self.attribute(Self.addressLocal, address.bytes)
            + Self.attribute(Self.addressAddress, address.bytes)
        guard let lifetime else { return body }
        let information = native(lifetime) + native(lifetime) + native(UInt32(0)) + native(UInt32(0))
        return body + Self.attribute(Self.addressCacheInformation, information)
    }

    /// A policy rule that drops what is sent from this one address: fib_rule_hdr, action FR_ACT_BLACKHOLE.
    static func silenceRuleBody(_ address: IPAddress) -> [UInt8] {
        let bits = UInt8(truncatingIfNeeded: address.bytes.count * 8)
        return [UInt8(truncatingIfNeeded: address.family), 0, bits, 0, 0, 0, 0, 6] + native(UInt32(0))
            + Self.attribute(2, address.bytes) + Self.attribute(6, native(Self.silencePriority))
    }

    /// Before the routing tables (32766), after the local one (0).
    private static let silencePriority: UInt32 = 445

    /// The attributes in `bytes`, until they make no sense.
    static func attributes(_ bytes: ArraySlice<UInt8>) -> [UInt16: [UInt8]] {
        var rest = bytes
        var result: [UInt16: [UInt8]] = [:]
        while rest.count >= 4 {
            let length = Int(loadNative(UInt16.self, rest, 0))
            guard length >= 4, length <= rest.count else { break }
            result[loadNative(UInt16.self, rest, 2) & 0x3FFF] = Array(rest.dropFirst(4).prefix(length - 4))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return result
    }

    struct Message {
        var type: UInt16
        var sequence: UInt32
        var body: ArraySlice<UInt8>
    }

    /// The messages of one datagram, until they make no sense.
    static func messages(_ bytes: ArraySlice<UInt8>) -> [Message] {
        var rest = bytes
        var result: [Message] = []
        while rest.count >= Self.headerSize {
            let length = Int(loadNative(UInt32.self, rest, 0))
            guard length >= Self.headerSize, length <= rest.count else { break }
            result.append(
                Message(
                    type: loadNative(UInt16.self, rest, 4), sequence: loadNative(UInt32.self, rest, 8),
                    body: rest.prefix(length).dropFirst(Self.headerSize)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return result
    }

    static func native<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
        withUnsafeBytes(of: value) { Array($0) }
    }

    /// The caller has checked that the bytes are there.
    static func loadNative<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type, _ bytes: ArraySlice<UInt8>, _ offset: Int
    ) -> Integer {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }

    static func open(_ family: Family = .route, groups: UInt32 = 0) throws(PlatformError) -> Descriptor {
        let raw = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), family.rawValue)
        guard raw >= 0 else { throw .system("netlink socket") }
        let descriptor = Descriptor(owning: raw)
        // sockaddr_nl: family, padding, port id (0: the kernel chooses), groups.
        let address =
            native(UInt16(truncatingIfNeeded: AF_NETLINK)) + [0, 0] + native(UInt32(0)) + native(groups)
        let result = address.withUnsafeBytes {
            bind(raw, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        guard result == 0 else { throw .system("bind the netlink socket") }
        return descriptor
    }

    /// One request and everything that answers it. The error that the kernel gives is an errno; 0 is success.
    static func ask(
        _ type: MessageType, _ flags: Flags, _ body: [UInt8], of family: Family = .route
    ) throws(PlatformError) -> (error: Int32, messages: [Message]) {
        let descriptor = try Self.open(family)
        let request = Self.message(type, flags.union(.request), sequence: 1, body)
        guard send(descriptor.raw, request, request.count, 0) == request.count else { throw .system("netlink") }
        var collected: [Message] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            guard waitForEvent(descriptor.raw, POLLIN, until: .now + .seconds(5)) != 0 else {
                throw .system("netlink", ETIMEDOUT)
            }
            let count = recv(descriptor.raw, &buffer, buffer.count, 0)
            guard count > 0 else { throw .system("netlink") }
            for message in Self.messages(buffer[..<count]) where message.sequence == 1 {
                switch MessageType(rawValue: message.type) {
                case .done: return (0, collected)
                case .error:
                    guard message.body.count >= 4 else { throw .system("netlink", EPROTO) }
                    return (-Self.loadNative(Int32.self, message.body, 0), collected)
                default:
                    collected.append(Message(type: message.type, sequence: 1, body: ArraySlice(Array(message.body))))
                }
            }
            if !flags.contains(.dump), !flags.contains(.acknowledge), !collected.isEmpty { return (0, collected) }
        }
    }
}

/// What the kernel says about an interface.
struct LinkInformation: Equatable {
    var index: UInt32
    var flags: UInt32
    var hardware: [UInt8]

    private static let up: UInt32 = 0x1
    private static let lowerUp: UInt32 = 0x10000

    /// Switched on, and its carrier is there.
    var isUp: Bool { self.flags & Self.up != 0 && self.flags & Self.lowerUp != 0 }

    static func of(_ interface: String) throws(PlatformError) -> LinkInformation {
        guard !interface.isEmpty, interface.utf8.count < 16 else {
            throw PlatformError(.invalid, "\(interface) is not the name of a network interface")
        }
        let name = Netlink.attribute(3, Array(interface.utf8) + [0])
        let (error, messages) = try Netlink.ask(.getLink, [], [UInt8](repeating: 0, count: 16) + name)
        guard error == 0 else {
            if error == ENODEV { throw PlatformError(.notFound, "there is no network interface \(interface)") }
            throw .system("the state of \(interface)", error)
        }
        guard let body = messages.first?.body, body.count >= 16 else {
            throw .system("the state of \(interface)", EPROTO)
        }
        return LinkInformation(
            index: Netlink.loadNative(UInt32.self, body, 4), flags: Netlink.loadNative(UInt32.self, body, 8),
            hardware: Netlink.attributes(body.dropFirst(16))[1] ?? [])
    }

    /// One that an address can be announced on.
    static func ofEthernet(_ interface: String) throws(PlatformError) -> LinkInformation {
        let link = try Self.of(interface)
        guard link.hardware.count == 6 else {
            throw PlatformError(
                .invalid, "\(interface) is not an Ethernet interface: it cannot carry a virtual address")
        }
        return link
    }
}

package enum NetworkInterface {
    /// Throws where the virtual IP could not be raised on it. To be asked before the node depends on it: otherwise the first
    /// takeover is the first to notice.
    package static func require(_ name: String) throws(PlatformError) {
        do throws(PlatformError) {
            _ = try LinkInformation.ofEthernet(name)
        } catch {
            guard error.kind == .notFound || error.kind == .invalid else { throw error }
            throw PlatformError(error.kind, "\(error.message). 'ip link' shows them: give --interface")
        }
    }
}

/// Tells when an interface's state may have changed.
package final class LinkWatch {
    package let interface: String
    /// Readable when there is something to drain.
    package var descriptor: Int32 { self.socket.raw }
    private let socket: Descriptor

    package init(interface: String) throws(PlatformError) {
        self.interface = interface
        self.socket = try Netlink.open(groups: Netlink.linkGroup)
        try self.socket.setNonBlocking()
        _ = try LinkInformation.of(interface)
    }

    /// Switched on, with carrier. An interface that went away is down.
    package func isUp() throws(PlatformError) -> Bool {
        do throws(PlatformError) {
            return try LinkInformation.of(self.interface).isUp
        } catch {
            if error.kind == .notFound { return false }
            throw error
        }
    }

    /// Takes the notifications away; ask `isUp` afterwards. They may be about other interfaces, or have been lost: no matter.
    package func drainEvents() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(self.socket.raw, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR || errno == ENOBUFS { continue }
            if count <= 0 { return }
        }
    }
}
