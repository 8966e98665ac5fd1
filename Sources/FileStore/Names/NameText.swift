import SMB2Wire

/// UTF-16 units to the bytes of a Linux name and back.
///
/// A lone surrogate, which NTFS allows in a name, becomes the three bytes that its number would have in UTF-8, and comes
/// back as itself. Linux names that Windows could not show are shown changed, each place by a private-use character, in the
/// way that Services for Macintosh made usual (and Linux's client with `mapposix` undoes):
///
/// | on disk | shown |
/// |---|---|
/// | 0x01...0x1F | U+F001...U+F01F |
/// | `"` `*` `:` `<` `>` `?` `\` <code>&#124;</code> | U+F020...U+F027 |
/// | a space, a dot at the end | U+F028, U+F029 |
/// | a byte that is not UTF-8 | U+F080...U+F0FF |
///
/// The name so shown opens the file: the directory's index is by what is shown.
package enum NameText {
    /// Appends the bytes of one unit sequence.
    static func appendUTF8(_ units: some Collection<UInt16>, to output: inout [UInt8]) {
        var high: UInt32 = 0
        for unit in units {
            let value = UInt32(unit)
            if high != 0 {
                if value & 0xFC00 == 0xDC00 {
                    let scalar = 0x10000 + ((high & 0x3FF) << 10 | value & 0x3FF)
                    output.append(UInt8(0xF0 | scalar >> 18))
                    output.append(UInt8(0x80 | scalar >> 12 & 0x3F))
                    output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
                    output.append(UInt8(0x80 | scalar & 0x3F))
                    high = 0
                    continue
                }
                self.appendThree(high, to: &output)
                high = 0
            }
            switch value {
            case 0..<0x80:
                output.append(UInt8(value))
            case 0x80..<0x800:
                output.append(UInt8(0xC0 | value >> 6))
                output.append(UInt8(0x80 | value & 0x3F))
            case 0xD800..<0xDC00:
                high = value
            default:
                self.appendThree(value, to: &output)
            }
        }
        if high != 0 { self.appendThree(high, to: &output) }
    }

    @inline(__always)
    private static func appendThree(_ value: UInt32, to output: inout [UInt8]) {
        output.append(UInt8(0xE0 | value >> 12))
        output.append(UInt8(0x80 | value >> 6 & 0x3F))
        output.append(UInt8(0x80 | value & 0x3F))
    }

    /// Appends the units in which a name from the disk is shown.
    package static func appendShown(_ name: UnsafeBufferPointer<UInt8>, to units: inout [UInt16]) {
        let count = name.count
        var at = 0
        while at < count {
            let first = UInt32(name[at])
            if first < 0x80 {
                units.append(self.shown(ascii: UInt8(first), isLast: at == count - 1))
                at += 1
                continue
            }
            let (length, least): (Int, UInt32) =
                switch first {
                case 0xC2...0xDF: (2, 0x80)
                case 0xE0...0xEF: (3, 0x800)
                case 0xF0...0xF4: (4, 0x10000)
                default: (1, 0)
                }
            var scalar = first & (0x7F >> UInt32(length))
            var isValid = length > 1 && length <= count - at
            if isValid {
                for next in 1..<length {
                    let byte = UInt32(name[at + next])
                    isValid = isValid && byte & 0xC0 == 0x80
                    scalar = scalar << 6 | byte & 0x3F
                }
            }
            guard isValid, scalar >= least, scalar <= 0x10FFFF else {
                units.append(0xF000 | UInt16(first))
                at += 1
                continue
            }
            if scalar < 0x10000 {
                units.append(UInt16(scalar))
            } else {
                units.append(UInt16(0xD800 + ((scalar - 0x10000) >> 10)))
                units.append(UInt16(0xDC00 + ((scalar - 0x10000) & 0x3FF)))
            }
            at += length
        }
    }

    @inline(__always)
    private static func shown(ascii byte: UInt8, isLast: Bool) -> UInt16 {
        switch byte {
        case 1..<0x20: 0xF000 | UInt16(byte)
        case UInt8(ascii: "\""): 0xF020
        case UInt8(ascii: "*"): 0xF021
        case UInt8(ascii: ":"): 0xF022
        case UInt8(ascii: "<"): 0xF023
        case UInt8(ascii: ">"): 0xF024
        case UInt8(ascii: "?"): 0xF025
        case UInt8(ascii: "\\"): 0xF026
        case UInt8(ascii: "|"): 0xF027
        case UInt8(ascii: " ") where isLast: 0xF028
        case UInt8(ascii: ".") where isLast: 0xF029
        default: UInt16(byte)
        }
    }

    /// The units in which a name from the disk is shown.
    package static func shown(_ name: [UInt8]) -> [UInt16] {
        var units: [UInt16] = []
        units.reserveCapacity(name.count)
        name.withUnsafeBufferPointer { self.appendShown($0, to: &units) }
        return units
    }
}
