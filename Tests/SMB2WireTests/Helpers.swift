import Testing

@testable import SMB2Wire

func encoded(_ command: SMB2Command, response: Bool = false, _ body: (inout WireWriter) -> Void) -> [UInt8] {
    // Not at the writer's beginning: offsets must be relative to the header.
    var writer = WireWriter(capacity: 16)
    writer.append(UInt64(0x5A5A_5A5A_5A5A_5A5A))
    SMB2Header(
        command: command, flags: response ? .response : [], creditCharge: 1, credits: 1, messageID: 3, treeID: 5,
        sessionID: 7
    ).encode(into: &writer)
    body(&writer)
    return Array(writer.bytes[8...])
}

func written(_ body: (inout WireWriter) -> Void) -> [UInt8] {
    var writer = WireWriter(capacity: 0)
    body(&writer)
    return writer.bytes
}

extension [UInt8] {
    /// Runs a parser over these bytes.
    func parsed<T>(_ parse: (RawSpan) throws(WireError) -> T) throws(WireError) -> T {
        try parse(self.span.bytes)
    }
}

/// Every proper prefix of `bytes` must be refused, and none may trap. `from`: shorter prefixes than this are tried too;
/// `to`: prefixes of at least this length are allowed to parse (trailing padding, for instance).
func assertEveryTruncationThrows(
    _ bytes: [UInt8], upTo end: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation,
    _ parse: (RawSpan) throws(WireError) -> Void
) {
    for length in 0..<(end ?? bytes.count) {
        // A copy of exactly this length, so that a read beyond it is a read beyond the allocation.
        let prefix = Array(bytes[..<length])
        do throws(WireError) {
            try parse(prefix.span.bytes)
            Issue.record("a prefix of \(length) of \(bytes.count) bytes was accepted", sourceLocation: sourceLocation)
        } catch {}
    }
}
