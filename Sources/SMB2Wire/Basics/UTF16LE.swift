/// UTF-16LE as SMB2 sends it, [MS-SMB2] 2.1 ("Unicode"), to and from UTF-8. Strict: an unpaired surrogate is refused,
/// because it has no UTF-8 form and so could name no file here.
package enum UTF16LE {
    /// A string; throws on an odd byte count or an unpaired surrogate.
    package static func decode(_ span: RawSpan) throws(WireError) -> String {
        var scratch: [UInt8] = []
        scratch.reserveCapacity(span.byteCount)
        try self.appendUTF8(of: span, to: &scratch)
        return String(decoding: scratch, as: UTF8.self)
    }

    /// Replaces the contents of `scratch` by the text's UTF-8 bytes. Keeps the capacity: no allocation when it is reused.
    package static func utf8(of span: RawSpan, into scratch: inout [UInt8]) throws(WireError) {
        scratch.removeAll(keepingCapacity: true)
        try self.appendUTF8(of: span, to: &scratch)
    }

    /// Appends the text's UTF-8 bytes.
    package static func appendUTF8(of span: RawSpan, to output: inout [UInt8]) throws(WireError) {
        guard span.byteCount & 1 == 0 else { throw .invalidText("UTF-16 of an odd length") }
        let end = span.byteCount
        var at = 0
        while at < end {
            // Four ASCII units at a time: nearly every name is nothing else.
            while end - at >= 8 {
                let four = span.load(UInt64.self, at: at)
                guard four & 0xFF80_FF80_FF80_FF80 == 0 else { break }
                output.append(UInt8(truncatingIfNeeded: four))
                output.append(UInt8(truncatingIfNeeded: four >> 16))
                output.append(UInt8(truncatingIfNeeded: four >> 32))
                output.append(UInt8(truncatingIfNeeded: four >> 48))
                at += 8
            }
            guard at < end else { return }
            let unit = UInt32(span.load(UInt16.self, at: at))
            at += 2
            switch unit {
            case 0..<0x80:
                output.append(UInt8(unit))
            case 0x80..<0x800:
                output.append(UInt8(0xC0 | unit >> 6))
                output.append(UInt8(0x80 | unit & 0x3F))
            case 0xD800..<0xDC00:
                guard at < end else { throw .invalidText("unpaired surrogate") }
                let low = UInt32(span.load(UInt16.self, at: at))
                guard low & 0xFC00 == 0xDC00 else { throw .invalidText("unpaired surrogate") }
                at += 2
                let scalar = 0x10000 + ((unit & 0x3FF) << 10 | low & 0x3FF)
                output.append(UInt8(0xF0 | scalar >> 18))
                output.append(UInt8(0x80 | scalar >> 12 & 0x3F))
                output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
                output.append(UInt8(0x80 | scalar & 0x3F))
            case 0xDC00..<0xE000:
                throw .invalidText("unpaired surrogate")
            default:
                output.append(UInt8(0xE0 | unit >> 12))
                output.append(UInt8(0x80 | unit >> 6 & 0x3F))
                output.append(UInt8(0x80 | unit & 0x3F))
            }
        }
    }

    /// The bytes a string takes on the wire.
    package static func byteCount(of text: String) -> Int { text.utf16.count * 2 }
}

extension WireWriter {
    /// Appends `text` as UTF-16LE, without a terminator; returns the byte count.
    @discardableResult
    package mutating func append(utf16 text: String) -> Int {
        let start = self.count
        self.reserve(text.utf8.count * 2)
        for unit in text.utf16 { self.append(unit) }
        return self.count - start
    }

    /// Appends UTF-8 (a file's name as the kernel gave it) as UTF-16LE. Returns the byte count, or nil, with nothing
    /// appended, where the bytes are not valid UTF-8: such a name cannot be shown to a client.
    package mutating func append(utf16FromUTF8 source: RawSpan) -> Int? {
        // A byte of UTF-8 makes at most one unit; the storage is borrowed once, for a directory is full of names.
        let start = self.claimUncleared(source.byteCount * 2)
        let written: Int? = self.withUnsafeMutableBytes(in: start..<self.count) { target in
            UTF16LE.convert(source, into: target)
        }
        guard let written else {
            self.truncate(to: start)
            return nil
        }
        self.truncate(to: start + written)
        return written
    }
}

extension UTF16LE {
    /// Writes `source`, UTF-8, as UTF-16LE to `target`, which has two bytes for each of it; the bytes written, or nil
    /// where `source` is no UTF-8.
    fileprivate static func convert(_ source: RawSpan, into target: UnsafeMutableRawBufferPointer) -> Int? {
        let end = source.byteCount
        var at = 0
        var out = 0
        func store(_ unit: UInt32) {
            target.storeBytes(of: UInt16(unit).littleEndian, toByteOffset: out, as: UInt16.self)
            out += 2
        }
        while at < end {
            let first = UInt32(source.load(UInt8.self, at: at))
            at += 1
            if first < 0x80 {
                store(first)
                continue
            }
            // Lead byte: how many follow, and the least scalar that needs so many (overlong forms are not UTF-8).
            let following: Int
            let least: UInt32
            var scalar: UInt32
            switch first {
            case 0xC2...0xDF: (following, least, scalar) = (1, 0x80, first & 0x1F)
            case 0xE0...0xEF: (following, least, scalar) = (2, 0x800, first & 0x0F)
            case 0xF0...0xF4: (following, least, scalar) = (3, 0x10000, first & 0x07)
            default: return nil
            }
            guard following <= end - at else { return nil }
            for _ in 0..<following {
                let next = UInt32(source.load(UInt8.self, at: at))
                guard next & 0xC0 == 0x80 else { return nil }
                scalar = scalar << 6 | next & 0x3F
                at += 1
            }
            guard scalar >= least, scalar <= 0x10FFFF, !(0xD800..<0xE000).contains(scalar) else { return nil }
            if scalar < 0x10000 {
                store(scalar)
            } else {
                store(0xD800 + ((scalar - 0x10000) >> 10))
                store(0xDC00 + ((scalar - 0x10000) & 0x3FF))
            }
        }
        return out
    }
}
