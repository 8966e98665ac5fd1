/// SMB2 CLOSE Request, [MS-SMB2] 2.2.15.
package struct CloseRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 24
    /// SMB2_CLOSE_FLAG_POSTQUERY_ATTRIB, also in the response.
    package static let postQueryAttributes: UInt16 = 0x0001

    package var flags: UInt16
    package var fileID: FileID

    package var wantsAttributes: Bool { self.flags & Self.postQueryAttributes != 0 }

    package init(flags: UInt16 = 0, fileID: FileID) {
        self.flags = flags
        self.fileID = fileID
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 24, "CLOSE")
        let body = SMB2Header.byteCount
        self.flags = message.load(UInt16.self, at: body + 2)
        self.fileID = FileID(loading: message, at: body + 8)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(24)
        writer.store(Self.structureSize, at: body)
        writer.store(self.flags, at: body + 2)
        writer.store(self.fileID, at: body + 8)
    }
}

/// SMB2 CLOSE Response, [MS-SMB2] 2.2.16.
package struct CloseResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 60

    /// What the file was like at its closing, where the request asked; otherwise all of it is zero on the wire.
    package var attributes: NetworkOpenInformation?

    package init(attributes: NetworkOpenInformation?) { self.attributes = attributes }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 60, "CLOSE response")
        let body = SMB2Header.byteCount
        guard message.load(UInt16.self, at: body + 2) & CloseRequest.postQueryAttributes != 0 else {
            self.attributes = nil
            return
        }
        self.attributes = NetworkOpenInformation(loading: message, at: body + 8)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(60)
        writer.store(Self.structureSize, at: body)
        guard let attributes = self.attributes else { return }
        writer.store(CloseRequest.postQueryAttributes, at: body + 2)
        attributes.store(into: &writer, at: body + 8)
    }
}
