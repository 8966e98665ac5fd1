import Glibc

extension VirtualAddress {
    /// Resets the connections to the service on which nothing was ever sent, and returns their clients. Ask before ``drop()``: a reset
    /// leaves only while the address is there. Where its life was over before, `tickle` has the clients ask whoever has it now.
    ///
    /// The kernel of a node whose processes hang goes on to accept connections, and acknowledges what their clients ask. Such a
    /// client has nothing to repeat, no record tells the next node of it, and so nothing but its own time-out (20 s for the
    /// NEGOTIATE of Linux and Windows) ends its wait. Clients that were answered before are in the records: they must hear nothing
    /// until the next node serves. sock_diag(7); a kernel without CONFIG_INET_DIAG_DESTROY refuses with EOPNOTSUPP.
    package func resetUnanswered(port: UInt16 = 445) throws(PlatformError) -> [ClientEndpoint] {
        let query = SocketDiagnosis.query(family: self.address.family, port: port)
        let (error, messages) = try Netlink.ask(.socketsByFamily, [.dump], query, of: .socketDiagnosis)
        guard error == 0 else { throw .system("the connections to \(self)", error) }
        var reset: [ClientEndpoint] = []
        for socket in messages.compactMap({ SocketDiagnosis($0.body) })
        where socket.localAddress(self.address.bytes.count) == self.address.bytes && socket.dataSegmentsSent == 0 {
            let (error, _) = try Netlink.ask(
                .destroySocket, [.acknowledge], socket.destruction(family: self.address.family), of: .socketDiagnosis)
            // It may have ended meanwhile.
            guard error == 0 || error == ENOENT else { throw .system("reset a connection to \(self)", error) }
            if error == 0, let client = socket.client(self.address.bytes.count) { reset.append(client) }
        }
        return reset
    }
}

/// A TCP socket as sock_diag(7) tells of it: `inet_diag_msg` with a `tcp_info` behind it (linux/inet_diag.h, linux/tcp.h).
struct SocketDiagnosis {
    private static let tcp: UInt8 = 6
    private static let established: UInt32 = 1 << 1
    private static let closeWait: UInt32 = 1 << 8
    /// INET_DIAG_INFO, the attribute and its bit in a query.
    private static let information: UInt16 = 2
    private static let informationBit: UInt8 = 1 << 1

    /// `inet_diag_msg`: four bytes, the socket's identity, five numbers.
    private static let identity = 4..<52
    private static let messageByteCount = 72
    /// `inet_diag_sockid`: two ports, two addresses of 16 bytes, big-endian all.
    private static let destinationPort = 6
    private static let sourceAddress = 8
    private static let destinationAddress = 24
    /// `tcpi_data_segs_out`.
    private static let dataSegmentsOffset = 156

    private let id: [UInt8]
    private let source: [UInt8]
    private let destination: [UInt8]
    private let port: UInt16
    /// Segments that carried data, repeated ones too.
    let dataSegmentsSent: UInt32

    /// Nil where the kernel does not say what was sent.
    init?(_ body: ArraySlice<UInt8>) {
        guard body.count >= Self.messageByteCount,
            let information = Netlink.attributes(body.dropFirst(Self.messageByteCount))[Self.information],
            information.count >= Self.dataSegmentsOffset + 4
        else { return nil }
        self.id = Array(body.dropFirst(Self.identity.lowerBound).prefix(Self.identity.count))
        self.source = Array(body.dropFirst(Self.sourceAddress).prefix(16))
        self.destination = Array(body.dropFirst(Self.destinationAddress).prefix(16))
        self.port = UInt16(bigEndian: Netlink.loadNative(UInt16.self, body, Self.destinationPort))
        self.dataSegmentsSent = Netlink.loadNative(UInt32.self, information[...], Self.dataSegmentsOffset)
    }

    func localAddress(_ byteCount: Int) -> [UInt8] { Array(self.source.prefix(byteCount)) }

    func client(_ byteCount: Int) -> ClientEndpoint? {
        IPAddress(bytes: Array(self.destination.prefix(byteCount))).map {
            ClientEndpoint(address: $0, port: self.port)
        }
    }

    /// `inet_diag_req_v2` for what is connected to a port of this machine.
    static func query(family: Int32, port: UInt16) -> [UInt8] {
        Self.request(
            family, identity: Netlink.native(port.bigEndian) + [UInt8](repeating: 0, count: Self.identity.count - 2))
    }

    func destruction(family: Int32) -> [UInt8] { Self.request(family, identity: self.id) }

    private static func request(_ family: Int32, identity: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: family), Self.tcp, Self.informationBit, 0]
            + Netlink.native(Self.established | Self.closeWait) + identity
    }
}
