import SMB2Wire
import SMBCompression
import SMBServerCore

// Compressed messages, [MS-SMB2] 3.3.5.2.1.2 and 3.1.4.4. They stand between the signature, which covers the plain message,
// and the encryption, which covers the compressed one.
extension ClientConnection {
    /// Shorter replies leave as they are: a packet or two less on the wire is not worth the two passes over the data.
    private static let shortestCompressed = 4096

    /// - Returns: the message, which lies in the window; the caller gives that back to the pool.
    func inflate(
        _ packet: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) -> (ReceiveWindow, UnsafeMutableRawBufferPointer) {
        guard let agreed = self.compression else { throw .malformed("no compression was agreed on") }
        let packet = UnsafeRawBufferPointer(packet)
        let count = try CompressedMessage.plainByteCount(
            packet, segmentLimit: Limits.transfer + CompressedMessage.allowance,
            limit: self.security.isAuthenticated ? Limits.message : Limits.messageBeforeLogon)
        let window = self.loop.pool.takeWindow(holding: count)
        let message = UnsafeMutableRawBufferPointer(start: window.base, count: count)
        do throws(CompressionError) {
            try CompressedMessage.decompress(packet, agreed: agreed, into: message)
            guard PacketKind(UnsafeRawBufferPointer(message).bytes) == .smb2 else {
                throw .malformed("no SMB2 message was compressed")
            }
        } catch {
            self.loop.pool.giveBack(window)
            throw error
        }
        return (window, message)
    }

    /// Compresses the one reply of a frame in place, where its client asked for that and it pays. The frame ends with it.
    func compress(_ replies: [FrameReply], _ writer: inout WireWriter) {
        guard let agreed = self.compression, replies.count == 1, replies[0].isCompressible,
            writer.count - replies[0].start >= Self.shortestCompressed
        else { return }
        let start = replies[0].start
        let length = writer.count - start
        var scratch = self.loop.pool.takeWriter()
        _ = scratch.claimUncleared(length)
        let loop = self.loop
        let count = scratch.withUnsafeMutableBytes(in: 0..<length) { target in
            writer.withUnsafeMutableBytes(in: start..<start + length) { message in
                loop.compressor.compress(
                    message: UnsafeRawBufferPointer(message), lead: ReadResponse.dataOffset, agreed: agreed,
                    into: target)
            }
        }
        if let count {
            writer.truncate(to: start)
            writer.append(scratch.span.extracting(0..<count))
        }
        self.loop.pool.giveBack(scratch)
    }
}
