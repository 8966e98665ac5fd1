/// Bytes from hexadecimal digits; whitespace and everything from `;` to the end of a line is left out.
package func hex(_ text: String) -> [UInt8] {
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
package func utf16(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
}

/// A 64-byte SMB2 header before `body`, as golden bytes: credit charge 1, message id 3, tree 5, session 7.
package func message(_ command: UInt8, _ body: [UInt8], response: Bool = false) -> [UInt8] {
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
