import Testing

@testable import SMB2Wire

/// Bytes from hexadecimal digits; whitespace and everything from `;` to the end of a line is left out.
func hex(_ text: String) -> [UInt8] {
    var nibbles: [UInt8] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
        for character in line.prefix(while: { $0 != ";" }) where !character.isWhitespace {
            guard let value = character.hexDigitValue else { preconditionFailure("not a hex digit: \(character)") }
            nibbles.append(UInt8(value))
        }
    }
    precondition(nibbles.count % 2 == 0)
    return stride(from: 0, to: nibbles.count, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
}

/// UTF-16LE by hand, for golden bytes.
func utf16(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
}

/// A 64-byte SMB2 header before `body`, as golden bytes: credit charge 1, message id 3, tree 5, session 7.
func message(_ command: UInt8, _ body: [UInt8], response: Bool = false) -> [UInt8] {
    var header = hex(
        """
        FE534D42 4000 0100 00000000 0000 0100 00000000 00000000
        0300000000000000 00000000 05000000 0700000000000000
        00000000000000000000000000000000
        """)
    header[12] = command
    header[16] = response ? 1 : 0
    return header + body
}

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

/// SplitMix64: the seeded generator of the mutation tests.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
