/// The response of QUERY_DIRECTORY ([MS-SMB2] 2.2.34), CHANGE_NOTIFY (2.2.36) and QUERY_INFO (2.2.38): one buffer.
package struct OutputBufferResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 9
    package static let fixedByteCount = 8
    /// From the SMB2 header.
    package static let bufferOffset = SMB2Header.byteCount + Self.fixedByteCount

    package var buffer: Range<Int>

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: Self.fixedByteCount, "output buffer")
        let body = SMB2Header.byteCount
        self.buffer = try message.range(
            offset: Int(message.load(UInt16.self, at: body + 2)), length: Int(message.load(UInt32.self, at: body + 4)),
            notBefore: Self.bufferOffset, "output buffer")
    }

    /// Appends the fixed part; append the buffer next, then call `end` with what this returned.
    package static func begin(_ writer: inout WireWriter) -> Int {
        let body = writer.claim(Self.fixedByteCount)
        writer.store(Self.structureSize, at: body)
        return body
    }

    /// Stores the length of what was appended since `begin`.
    package static func end(_ writer: inout WireWriter, begun body: Int) {
        let length = writer.count - body - Self.fixedByteCount
        // An empty buffer has no place: CHANGE_NOTIFY's NOTIFY_ENUM_DIR sends zeros.
        writer.store(UInt16(length == 0 ? 0 : body + Self.fixedByteCount - writer.messageStart), at: body + 2)
        writer.store(UInt32(length), at: body + 4)
    }

    package static func encode(into writer: inout WireWriter, buffer: RawSpan) {
        let body = self.begin(&writer)
        writer.append(buffer)
        self.end(&writer, begun: body)
    }
}

package typealias QueryDirectoryResponse = OutputBufferResponse
package typealias ChangeNotifyResponse = OutputBufferResponse
package typealias QueryInfoResponse = OutputBufferResponse
