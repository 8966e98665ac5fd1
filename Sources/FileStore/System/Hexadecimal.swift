/// Bytes as digits, for names and for what has to be without NULs.
enum Hexadecimal {
    private static let values = Array("0123456789abcdef".utf8)

    static func digits(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.flatMap { [self.values[Int($0 >> 4)], self.values[Int($0 & 15)]] }
    }

    static func isDigit(_ character: UInt8) -> Bool { self.values.contains(character) }

    /// Nil where they are not pairs of digits as ``digits(_:)`` makes them.
    static func bytes(_ digits: [UInt8]) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = self.values.firstIndex(of: digits[index]),
                let low = self.values.firstIndex(of: digits[index + 1])
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
