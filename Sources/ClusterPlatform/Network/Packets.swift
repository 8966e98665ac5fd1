/// The packets that tell a network that an address has moved, as bytes.
enum Packets {
    static let broadcast: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]

    enum ARPOperation: UInt16, CaseIterable {
        case request = 1
        case reply = 2
    }

    /// Gratuitous ARP, RFC 5227 3: an Ethernet frame to everybody whose sender and target are the address itself.
    static func gratuitousARP(_ address: IPAddress, hardware: [UInt8], operation: ARPOperation) -> [UInt8] {
        precondition(!address.isIPv6 && hardware.count == 6)
        var frame = self.broadcast + hardware
        frame += [0x08, 0x06]  // ARP
        frame += [0x00, 0x01, 0x08, 0x00, 6, 4]  // Ethernet, IPv4
        frame += bigEndian(operation.rawValue)
        frame += hardware + address.bytes
        // A request asks for nobody's hardware address; in a reply it is the sender's.
        frame += operation == .request ? [0, 0, 0, 0, 0, 0] : hardware
        frame += address.bytes
        return frame
    }

    /// Unsolicited neighbour advertisement to all nodes, RFC 4861 7.2.6, with the override flag.
    static func neighbourAdvertisement(_ address: IPAddress, hardware: [UInt8]) -> [UInt8] {
        precondition(address.isIPv6 && hardware.count == 6)
        let allNodes: [UInt8] = [0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0]
        message += address.bytes
        message += [2, 1] + hardware
        let sum = self.checksum(
            self.pseudoHeader(source: address.bytes, destination: allNodes, length: message.count, next: 58) + message)
        message.replaceSubrange(2..<4, with: bigEndian(sum))
        var frame: [UInt8] = [0x33, 0x33, 0, 0, 0, 1] + hardware + [0x86, 0xDD]
        frame += [0x60, 0, 0, 0] + bigEndian(UInt16(message.count)) + [58, 255]
        frame += address.bytes + allNodes + message
        return frame
    }

    /// An ACK that fits no connection. The client answers with a challenge ACK (RFC 5961 5), and our kernel, which knows no
    /// such connection, resets it: the client reconnects at once instead of after its time-out.
    static func tickle(from source: IPAddress, port: UInt16, to client: ClientEndpoint) -> [UInt8]? {
        guard source.isIPv6 == client.address.isIPv6 else { return nil }
        var segment = bigEndian(port) + bigEndian(client.port)
        segment += [0, 0, 0, 0, 0, 0, 0, 0]  // sequence and acknowledgement number
        segment += [0x50, 0x10] + bigEndian(UInt16(1234)) + [0, 0, 0, 0]
        let pseudo = self.pseudoHeader(
            source: source.bytes, destination: client.address.bytes, length: segment.count, next: 6)
        segment.replaceSubrange(16..<18, with: bigEndian(self.checksum(pseudo + segment)))
        if source.isIPv6 {
            return [0x60, 0, 0, 0] + bigEndian(UInt16(segment.count)) + [6, 255] + source.bytes + client.address.bytes
                + segment
        }
        var header: [UInt8] = [0x45, 0] + bigEndian(UInt16(20 + segment.count))
        header += [0, 0, 0x40, 0, 255, 6, 0, 0]  // do not fragment, TTL 255, TCP
        header += source.bytes + client.address.bytes
        header.replaceSubrange(10..<12, with: bigEndian(self.checksum(header)))
        return header + segment
    }

    private static func pseudoHeader(source: [UInt8], destination: [UInt8], length: Int, next: UInt8) -> [UInt8] {
        if source.count == 4 { return source + destination + [0, next] + bigEndian(UInt16(length)) }
        return source + destination + bigEndian(UInt32(length)) + [0, 0, 0, next]
    }

    /// RFC 1071.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
            sum += UInt32(bytes[index]) << 8 | low
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}
