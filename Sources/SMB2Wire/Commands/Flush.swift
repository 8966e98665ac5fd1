/// SMB2 FLUSH Request, [MS-SMB2] 2.2.17.
package struct FlushRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 24

    package var fileID: FileID

    package init(fileID: FileID) { self.fileID = fileID }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 24, "FLUSH")
        self.fileID = FileID(loading: message, at: SMB2Header.byteCount + 8)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(24)
        writer.store(Self.structureSize, at: body)
        writer.store(self.fileID, at: body + 8)
    }
}
