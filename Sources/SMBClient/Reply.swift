import SMB2Wire

/// One answer of the server. The packet may hold others: ``span`` is only this message, from its SMB2 header on,
/// which is what the decoders of SMB2Wire want.
package struct Reply: Sendable {
    package let header: SMB2Header
    package let packet: [UInt8]
    package let range: Range<Int>

    package var span: RawSpan {
        @_lifetime(borrow self) get { self.packet.span.bytes.extracting(self.range) }
    }

    /// The bytes at a place that SMB2Wire found relative to the header.
    package func bytes(_ place: Range<Int>) -> [UInt8] { self.span.bytes(in: place) }
}
