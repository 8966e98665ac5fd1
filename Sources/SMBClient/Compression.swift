import SMB2Wire
import SMBCompression

// [MS-SMB2] 3.2.4.1.9, 3.2.5.1.1.2.
extension SMBConnection {
    /// Header and fixed part of a WRITE: what is not compressed.
    private static let writeLead = SMB2Header.byteCount + 48

    /// Compresses the message that the writer ends with, where that was agreed on and pays.
    func compress(from start: Int, in writer: inout WireWriter) {
        guard self.isCompressing, let agreed = self.compression, writer.count - start > Self.writeLead else { return }
        let message = writer.span.bytes(in: start..<writer.count)
        var target = [UInt8](repeating: 0, count: message.count)
        var compressor = Compressor()
        let count = message.withUnsafeBytes { message in
            target.withUnsafeMutableBytes {
                compressor.compress(message: message, lead: Self.writeLead, agreed: agreed, into: $0)
            }
        }
        guard let count else { return }
        writer.truncate(to: start)
        writer.append(target.span.bytes.extracting(0..<count))
        self.compressedPackets.sent += 1
    }

    func inflate(_ packet: ArraySlice<UInt8>) throws(ClientError) -> [UInt8] {
        guard let agreed = self.compression else { throw .violation("compressed without an agreement") }
        let largest = max(self.maximumReadSize, self.maximumWriteSize, self.maximumTransactSize)
        let limit = largest + CompressedMessage.allowance
        let result: Result<[UInt8], CompressionError> = packet.withUnsafeBytes { packet in
            do throws(CompressionError) {
                let count = try CompressedMessage.plainByteCount(packet, segmentLimit: limit, limit: limit + largest)
                var message = [UInt8](repeating: 0, count: count)
                let result: Result<Void, CompressionError> = message.withUnsafeMutableBytes { target in
                    do throws(CompressionError) {
                        return .success(try CompressedMessage.decompress(packet, agreed: agreed, into: target))
                    } catch { return .failure(error) }
                }
                try result.get()
                return .success(message)
            } catch { return .failure(error) }
        }
        do throws(CompressionError) {
            let message = try result.get()
            guard PacketKind(message.span.bytes) == .smb2 else { throw .malformed("no SMB2 message was compressed") }
            self.compressedPackets.received += 1
            return message
        } catch { throw .violation("decompression: \(error)") }
    }
}
