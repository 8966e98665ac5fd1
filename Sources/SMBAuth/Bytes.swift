// Little-endian numbers and UTF-16LE text. The readers trap outside the array: callers check lengths first.

extension FixedWidthInteger where Self: UnsignedInteger {
    var littleEndianBytes: [UInt8] {
        (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
    }
}

extension [UInt8] {
    func littleEndian16(at offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }

    func littleEndian32(at offset: Int) -> UInt32 {
        UInt32(self.littleEndian16(at: offset)) | UInt32(self.littleEndian16(at: offset + 2)) << 16
    }

    init(utf16LE text: String) { self = text.utf16.flatMap(\.littleEndianBytes) }

    /// Text for people; what is no valid UTF-16 shows as U+FFFD.
    var decodedUTF16LE: String {
        String(decoding: (0..<(self.count / 2)).map { self.littleEndian16(at: $0 * 2) }, as: UTF16.self)
    }

    /// Upper case unit by unit, as NTLM does it: the length stays, and "ß" stays what it is.
    var uppercasedUTF16LE: [UInt8] {
        (0..<(self.count / 2)).flatMap { index -> [UInt8] in
            let unit = self.littleEndian16(at: index * 2)
            guard let scalar = Unicode.Scalar(unit) else { return unit.littleEndianBytes }
            let mapping = scalar.properties.uppercaseMapping.utf16
            guard mapping.count == 1, let upper = mapping.first else { return unit.littleEndianBytes }
            return upper.littleEndianBytes
        }
    }
}
