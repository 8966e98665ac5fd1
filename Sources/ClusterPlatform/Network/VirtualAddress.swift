import Glibc

/// The address that moves with the service.
package struct VirtualAddress: Hashable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let prefixLength: UInt8
    package let interface: String

    /// How often, and how far apart, the move is announced: packets get lost, switches learn late.
    package static let announceRounds = 5
    package static let announceInterval: Duration = .milliseconds(250)
    /// How often whoever has the address says so from then on. Linux takes no second change of a neighbour within a second
    /// (`locktime`).
    package static let defenceInterval: Duration = .milliseconds(1100)

    /// `192.0.2.10/24` or `2001:db8::10/64`.
    package init(_ text: String, interface: String) throws(PlatformError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let prefixLength = UInt8(parts[1]),
            prefixLength >= 1, Int(prefixLength) <= address.bytes.count * 8
        else {
            throw PlatformError(
                .invalid,
                "\(text) is not a virtual address with its prefix length, like 192.0.2.10/24 or 2001:db8::10/64")
        }
        self.address = address
        self.prefixLength = prefixLength
        self.interface = interface
    }

    package var description: String { "\(self.address)/\(self.prefixLength) on \(self.interface)" }

    /// How often its life is prolonged, a fraction of the shortest.
    package static let renewInterval: Duration = .milliseconds(300)

    /// Whole seconds for which the kernel is given the address, when nobody else can serve for the time of `lease`: longer, because
    /// it is prolonged while that lasts, and at least two, because the kernel counts in seconds.
    package static func lifetime(lease: Duration) -> UInt32 {
        max(2, UInt32(clamping: (max(lease, .zero).wholeMilliseconds + 999) / 1000 + 1))
    }

    /// It may be there already. `lifetime`: after so many seconds the kernel takes it away by itself, unless `renew` was called: a
    /// node whose processes hang does not answer for it any longer. Nil: it stays until `drop`.
    package func add(lifetime: UInt32? = nil) throws(PlatformError) {
        if self.address.isIPv6 {
            let (error, _) = try Netlink.ask(
                .deleteRule, [.acknowledge], Netlink.silenceRuleBody(self.address))
            guard error == 0 || error == ENOENT else { throw .system("let \(self) speak again", error) }
        }
        try self.renew(lifetime: lifetime)
    }

    /// Its life begins anew, if need be by adding it again.
    package func renew(lifetime: UInt32?) throws(PlatformError) {
        let link = try LinkInformation.of(self.interface)
        let (error, _) = try Netlink.ask(
            .newAddress, [.acknowledge, .create, .replace],
            Netlink.addressBody(
                self.address, prefixLength: self.prefixLength, interface: link.index, lifetime: lifetime))
        guard error == 0 else { throw .system("add \(self)", error) }
    }

    /// It may be gone already. Take the address away BEFORE the sockets on it are closed: IPv4 sends nothing from a source address
    /// that is not its own, so neither FIN nor reset reaches a client, which then goes on with the next node. IPv6 does send
    /// (measured), so there a rule silences the address until it is added again.
    package func drop() throws(PlatformError) {
        let link: LinkInformation
        do throws(PlatformError) {
            link = try LinkInformation.of(self.interface)
        } catch {
            if error.kind == .notFound { return }
            throw error
        }
        if self.address.isIPv6 {
            let (error, _) = try Netlink.ask(
                .newRule, [.acknowledge, .create, .exclusive], Netlink.silenceRuleBody(self.address))
            guard error == 0 || error == EEXIST else { throw .system("silence \(self)", error) }
        }
        let (error, _) = try Netlink.ask(
            .deleteAddress, [.acknowledge],
            Netlink.addressBody(self.address, prefixLength: self.prefixLength, interface: link.index))
        guard error == 0 || error == EADDRNOTAVAIL else { throw .system("drop \(self)", error) }
    }

    package func isPresent() throws(PlatformError) -> Bool {
        let link = try LinkInformation.of(self.interface)
        let family = UInt8(truncatingIfNeeded: self.address.family)
        let (error, messages) = try Netlink.ask(.getAddress, [.dump], [family, 0, 0, 0, 0, 0, 0, 0])
        guard error == 0 else { throw .system("the addresses of \(self.interface)", error) }
        return messages.contains { message in
            guard message.type == Netlink.MessageType.newAddress.rawValue, message.body.count >= 8,
                Netlink.loadNative(UInt32.self, message.body, 4) == link.index
            else { return false }
            let attributes = Netlink.attributes(message.body.dropFirst(8))
            return (attributes[Netlink.addressLocal] ?? attributes[Netlink.addressAddress]) == self.address.bytes
        }
    }

    /// One round: gratuitous ARP, as request and as reply, or an unsolicited neighbour advertisement. Never `arping`, which
    /// blocks for seconds.
    package func announce() throws(PlatformError) {
        let link = try LinkInformation.ofEthernet(self.interface)
        let frames =
            self.address.isIPv6
            ? [Packets.neighbourAdvertisement(self.address, hardware: link.hardware)]
            : Packets.ARPOperation.allCases.map {
                Packets.gratuitousARP(self.address, hardware: link.hardware, operation: $0)
            }
        let raw = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw .system("packet socket") }
        let descriptor = Descriptor(owning: raw)
        // sockaddr_ll: family, protocol, interface, hardware type, packet type, address length, address.
        var target = [UInt8](repeating: 0, count: 20)
        withUnsafeBytes(of: UInt16(truncatingIfNeeded: AF_PACKET)) { target.replaceSubrange(0..<2, with: $0) }
        withUnsafeBytes(of: link.index) { target.replaceSubrange(4..<8, with: $0) }
        for frame in frames {
            let sent = target.withUnsafeBytes {
                sendto(
                    descriptor.raw, frame, frame.count, 0, $0.assumingMemoryBound(to: sockaddr.self).baseAddress,
                    socklen_t($0.count))
            }
            guard sent == frame.count else { throw .system("announce \(self)") }
        }
    }

    /// IPPROTO_RAW: the IP header is ours, in both families.
    private static let ipProtocolRaw: Int32 = 255

    /// One round: to each client an ACK that it must answer. Without an announcement before it nothing comes of it, and the
    /// announcement alone is not noticed by an idle client (measured: 1-2 ms with both, never with either alone).
    /// A client without a route is left out: it will find out by itself.
    package func tickle(_ clients: [ClientEndpoint], port: UInt16 = 445) throws(PlatformError) {
        guard clients.contains(where: { $0.address.isIPv6 == self.address.isIPv6 }) else { return }
        let raw = socket(
            self.address.family, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            Self.ipProtocolRaw)
        guard raw >= 0 else { throw .system("raw socket") }
        let descriptor = Descriptor(owning: raw)
        for client in clients {
            guard let packet = Packets.tickle(from: self.address, port: port, to: client) else { continue }
            // The port stands in the packet; a raw IPv6 socket wants 0 here.
            _ = client.address.withSocketAddress(port: 0) { sendto(descriptor.raw, packet, packet.count, 0, $0, $1) }
        }
    }
}

/// Listening before the address is there: whoever connects the moment it comes up is not refused.
package enum ListeningSocket {
    private static let ipFreeBind: Int32 = 15
    private static let ipv6FreeBind: Int32 = 78

    /// Non-blocking. The owner hands it down to smbserverd and keeps it: while smbserverd is restarted, clients wait in the backlog.
    package static func open(address: IPAddress, port: UInt16, backlog: Int32 = 1024) throws(PlatformError)
        -> Descriptor
    {
        let raw = socket(
            address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard raw >= 0 else { throw .system("socket") }
        let descriptor = Descriptor(owning: raw)
        try Self.set(descriptor.raw, SOL_SOCKET, SO_REUSEADDR)
        if address.isIPv6 {
            try Self.set(descriptor.raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY)
            try Self.set(descriptor.raw, Int32(IPPROTO_IPV6), Self.ipv6FreeBind)
        } else {
            try Self.set(descriptor.raw, Int32(IPPROTO_IP), Self.ipFreeBind)
        }
        guard address.withSocketAddress(port: port, { bind(raw, $0, $1) }) == 0 else {
            throw .system("bind to \(address) port \(port)")
        }
        guard listen(raw, backlog) == 0 else { throw .system("listen on \(address) port \(port)") }
        return descriptor
    }

    private static func set(_ socket: Int32, _ level: Int32, _ option: Int32) throws(PlatformError) {
        var value: Int32 = 1
        guard setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw .system("setsockopt \(level) \(option)")
        }
    }
}
