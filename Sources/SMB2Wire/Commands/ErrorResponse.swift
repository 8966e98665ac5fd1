/// SMB2 ERROR Response, [MS-SMB2] 2.2.2.
package struct ErrorResponse: Equatable, Sendable {
    package static let structureSize: UInt16 = 9
    /// Contexts read from one response; the specification knows two kinds.
    package static let maximumContexts = 16
    /// SMB2_ERROR_ID_DEFAULT and SMB2_ERROR_ID_SHARE_REDIRECT, 2.2.2.1.
    package static let errorIDDefault: UInt32 = 0
    package static let errorIDShareRedirect: UInt32 = 0x7264_5253

    /// 3.1.1 wraps the error data in a context (2.2.2.1), other dialects send it bare.
    package enum Data: Equatable, Sendable {
        case none
        case bare([UInt8])
        case contexts([Context])
    }

    package struct Context: Equatable, Sendable {
        package var errorID: UInt32
        package var data: [UInt8]

        package init(errorID: UInt32 = ErrorResponse.errorIDDefault, data: [UInt8]) {
            self.errorID = errorID
            self.data = data
        }
    }

    package var data: Data

    package init(data: Data = .none) { self.data = data }

    /// STATUS_BUFFER_TOO_SMALL names the length that would do, 2.2.2.
    package init(requiredLength: UInt32, dialect: Dialect) {
        self.init(errorData: (0..<4).map { UInt8(truncatingIfNeeded: requiredLength >> ($0 * 8)) }, dialect: dialect)
    }

    /// The data in the form that `dialect` wants.
    package init(errorData: [UInt8], dialect: Dialect) {
        self.data = dialect >= .smb311 ? .contexts([Context(data: errorData)]) : .bare(errorData)
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 8, "error response")
        let body = SMB2Header.byteCount
        let contextCount = Int(message.load(UInt8.self, at: body + 2))
        let length = Int(message.load(UInt32.self, at: body + 4))
        let range = try message.range(offset: body + 8, length: length, notBefore: body + 8, "error data")
        guard length > 0 else {
            self.data = .none
            return
        }
        guard contextCount > 0 else {
            self.data = .bare(message.bytes(in: range))
            return
        }
        guard contextCount <= Self.maximumContexts else { throw .limitExceeded("error contexts") }
        var contexts: [Context] = []
        var at = range.lowerBound
        for _ in 0..<contextCount {
            at = range.lowerBound + (at - range.lowerBound + 7) & ~7
            guard at <= range.upperBound, range.upperBound - at >= 8 else { throw .outOfBounds("error context") }
            let dataLength = Int(message.load(UInt32.self, at: at))
            guard dataLength <= range.upperBound - at - 8 else { throw .outOfBounds("error context") }
            contexts.append(
                Context(
                    errorID: message.load(UInt32.self, at: at + 4),
                    data: message.bytes(in: at + 8..<at + 8 + dataLength)))
            at += 8 + dataLength
        }
        self.data = .contexts(contexts)
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(8)
        writer.store(Self.structureSize, at: body)
        switch self.data {
        case .none:
            // 2.2.2: without data one byte of it is still sent.
            writer.claim(1)
            return
        case .bare(let bytes):
            writer.append(bytes)
        case .contexts(let contexts):
            writer.store(UInt8(clamping: contexts.count), at: body + 2)
            for context in contexts {
                writer.align(to: 8, from: body)
                writer.append(UInt32(context.data.count))
                writer.append(context.errorID)
                writer.append(context.data)
            }
        }
        writer.store(UInt32(writer.count - body - 8), at: body + 4)
    }
}

/// Symbolic Link Error Response, [MS-SMB2] 2.2.2.2.1: the error data of STATUS_STOPPED_ON_SYMLINK.
package struct SymlinkErrorData: Equatable, Sendable {
    package static let errorTag: UInt32 = 0x4C4D_5953
    package static let reparseTag: UInt32 = 0xA000_000C
    static let fixedByteCount = 28

    /// The part of the path that was not walked, as the client sent it.
    package var unparsedPathLength: UInt16
    package var substituteName: String
    package var printName: String
    /// SYMLINK_FLAG_RELATIVE.
    package var isRelative: Bool

    package init(unparsedPathLength: UInt16, substituteName: String, printName: String, isRelative: Bool) {
        self.unparsedPathLength = unparsedPathLength
        self.substituteName = substituteName
        self.printName = printName
        self.isRelative = isRelative
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.fixedByteCount, "symlink error")
        guard data.load(UInt32.self, at: 4) == Self.errorTag, data.load(UInt32.self, at: 8) == Self.reparseTag else {
            throw .invalidValue("symlink error tag")
        }
        self.unparsedPathLength = data.load(UInt16.self, at: 14)
        let substitute = try data.range(
            offset: Self.fixedByteCount + Int(data.load(UInt16.self, at: 16)),
            length: Int(data.load(UInt16.self, at: 18)),
            notBefore: Self.fixedByteCount, "substitute name")
        let print = try data.range(
            offset: Self.fixedByteCount + Int(data.load(UInt16.self, at: 20)),
            length: Int(data.load(UInt16.self, at: 22)),
            notBefore: Self.fixedByteCount, "print name")
        self.isRelative = data.load(UInt32.self, at: 24) & 1 != 0
        self.substituteName = try UTF16LE.decode(data.extracting(substitute))
        self.printName = try UTF16LE.decode(data.extracting(print))
    }

    package func encode(into writer: inout WireWriter) {
        let at = writer.claim(Self.fixedByteCount)
        let substituteLength = writer.append(utf16: self.substituteName)
        let printLength = writer.append(utf16: self.printName)
        writer.store(UInt32(writer.count - at - 4), at: at)
        writer.store(Self.errorTag, at: at + 4)
        writer.store(Self.reparseTag, at: at + 8)
        // ReparseDataLength covers what follows UnparsedPathLength.
        writer.store(UInt16(12 + substituteLength + printLength), at: at + 12)
        writer.store(self.unparsedPathLength, at: at + 14)
        writer.store(UInt16(0), at: at + 16)
        writer.store(UInt16(substituteLength), at: at + 18)
        writer.store(UInt16(substituteLength), at: at + 20)
        writer.store(UInt16(printLength), at: at + 22)
        writer.store(UInt32(self.isRelative ? 1 : 0), at: at + 24)
    }
}
