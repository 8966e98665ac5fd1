/// A client's TCP connection to the virtual IP, replicated on accept: the node that takes over sends each a tickle
/// ACK, so that it finds out at once instead of after its own time-outs.
package struct ClientRecord: Hashable, BinaryRecord {
    /// 4 bytes (IPv4) or 16 (IPv6), network order.
    package var clientAddress: [UInt8]
    package var clientPort: UInt16
    package var serverAddress: [UInt8]
    package var serverPort: UInt16

    package init(clientAddress: [UInt8], clientPort: UInt16, serverAddress: [UInt8], serverPort: UInt16) {
        self.clientAddress = clientAddress
        self.clientPort = clientPort
        self.serverAddress = serverAddress
        self.serverPort = serverPort
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.clientAddress)
        writer.write(self.clientPort)
        writer.write(self.serverAddress)
        writer.write(self.serverPort)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.clientAddress = try reader.read()
        self.clientPort = try reader.read()
        self.serverAddress = try reader.read()
        self.serverPort = try reader.read()
    }
}
