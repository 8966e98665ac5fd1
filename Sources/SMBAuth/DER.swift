/// The little of DER (X.690) that SPNEGO needs: one-byte tags, definite lengths, no recursion.
/// Every element is checked to lie inside the one around it.
struct DERReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.position = bytes.startIndex
    }

    var isAtEnd: Bool { self.position == self.bytes.endIndex }

    /// The next element's tag.
    var nextTag: UInt8? { self.isAtEnd ? nil : self.bytes[self.position] }

    /// The contents of the next element, which must carry `tag`.
    mutating func read(_ tag: UInt8) throws(Refusal) -> ArraySlice<UInt8> {
        try self.readWhole(tag).contents
    }

    /// The next element where it carries `tag`, or nothing and no step forward.
    mutating func readIfPresent(_ tag: UInt8) throws(Refusal) -> ArraySlice<UInt8>? {
        self.nextTag == tag ? try self.read(tag) : nil
    }

    /// The contents of the next element, and the element with its tag and length.
    mutating func readWhole(
        _ tag: UInt8
    ) throws(Refusal) -> (contents: ArraySlice<UInt8>, element: ArraySlice<UInt8>) {
        let start = self.position
        guard self.nextTag == tag else { throw .malformed("DER: tag \(tag) expected") }
        self.position += 1
        let length = try self.readLength()
        guard length <= self.bytes.endIndex - self.position else { throw .malformed("DER: length beyond the end") }
        let contents = self.bytes[self.position..<(self.position + length)]
        self.position += length
        return (contents, self.bytes[start..<self.position])
    }

    private mutating func readLength() throws(Refusal) -> Int {
        let first = try self.readByte()
        guard first & 0x80 != 0 else { return Int(first) }
        let count = Int(first & 0x7F)
        // Zero would be BER's indefinite form; tokens are far smaller than 2^24.
        guard count >= 1 && count <= 3 else { throw .malformed("DER: length of \(count) bytes") }
        var length = 0
        for _ in 0..<count { length = length << 8 | Int(try self.readByte()) }
        return length
    }

    private mutating func readByte() throws(Refusal) -> UInt8 {
        guard let byte = self.nextTag else { throw .malformed("DER: ends in mid-element") }
        self.position += 1
        return byte
    }
}

enum DER {
    static let sequence: UInt8 = 0x30
    static let objectIdentifier: UInt8 = 0x06
    static let octetString: UInt8 = 0x04
    static let enumerated: UInt8 = 0x0A
    static let generalString: UInt8 = 0x1B
    /// [APPLICATION 0], constructed.
    static let application0: UInt8 = 0x60

    /// [n], constructed.
    static func context(_ n: UInt8) -> UInt8 { 0xA0 | n }

    static func element(_ tag: UInt8, _ contents: [UInt8]...) -> [UInt8] {
        let count = contents.reduce(0) { $0 + $1.count }
        precondition(count < 1 << 24, "a token is not that long")
        var result: [UInt8] = [tag]
        switch count {
        case ..<0x80: result.append(UInt8(count))
        case ..<0x100: result += [0x81, UInt8(count)]
        case ..<0x1_0000: result += [0x82, UInt8(count >> 8), UInt8(count & 0xFF)]
        default: result += [0x83, UInt8(count >> 16), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
        }
        for part in contents { result += part }
        return result
    }
}
