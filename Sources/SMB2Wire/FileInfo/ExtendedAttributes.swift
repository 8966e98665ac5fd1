/// FILE_FULL_EA_INFORMATION, [MS-FSCC] 2.4.15.
package struct ExtendedAttribute: Equatable, Sendable {
    package static let fixedByteCount = 8
    /// EAs in one list; a file of Windows' has at most 64 KiB of them.
    package static let maximumEntries = 4096
    /// FILE_NEED_EA.
    package static let needFlag: UInt8 = 0x80

    package var flags: UInt8
    /// ASCII, without its terminator; at most 254 bytes.
    package var name: [UInt8]
    /// Empty in a set: the attribute is removed.
    package var value: [UInt8]

    package init(flags: UInt8 = 0, name: [UInt8], value: [UInt8]) {
        self.flags = flags
        self.name = name
        self.value = value
    }

    /// The bytes of a single entry, without padding.
    package var byteCount: Int { Self.fixedByteCount + self.name.count + 1 + self.value.count }

    /// The entries of a list. Malformed ones are STATUS_EA_LIST_INCONSISTENT, [MS-FSA] 2.1.5.15.5.
    package static func parseList(_ data: RawSpan) throws(WireError) -> [ExtendedAttribute] {
        var entries: [ExtendedAttribute] = []
        var at = 0
        guard data.byteCount > 0 else { return entries }
        while true {
            guard entries.count < Self.maximumEntries else { throw .limitExceeded("extended attributes") }
            guard data.byteCount - at >= Self.fixedByteCount else { throw .truncated("FILE_FULL_EA_INFORMATION") }
            let next = Int(data.load(UInt32.self, at: at))
            let nameLength = Int(data.load(UInt8.self, at: at + 5))
            let valueLength = Int(data.load(UInt16.self, at: at + 6))
            let start = at + Self.fixedByteCount
            guard nameLength + 1 + valueLength <= data.byteCount - start else { throw .outOfBounds("EA") }
            guard nameLength > 0, data.load(UInt8.self, at: start + nameLength) == 0 else {
                throw .invalidValue("EA name")
            }
            let valueStart = start + nameLength + 1
            entries.append(
                ExtendedAttribute(
                    flags: data.load(UInt8.self, at: at + 4), name: data.bytes(in: start..<start + nameLength),
                    value: data.bytes(in: valueStart..<valueStart + valueLength)))
            guard next != 0 else { return entries }
            guard next & 3 == 0, next >= Self.fixedByteCount + nameLength + 1 + valueLength,
                next <= data.byteCount - at
            else { throw .outOfBounds("NextEntryOffset") }
            at += next
        }
    }

    /// Whether name and value have lengths that the structure can say: a Linux attribute may be one byte too long for it.
    package var isRepresentable: Bool {
        (1...254).contains(self.name.count) && self.value.count <= Int(UInt16.max)
    }

    /// Appends whole entries as long as they fit into `limit` bytes and returns how many were dealt with: fewer than all
    /// means STATUS_BUFFER_OVERFLOW. Entries that are not representable are passed over.
    @discardableResult
    package static func encode(
        _ entries: [ExtendedAttribute], into writer: inout WireWriter, limit: Int = Int.max
    ) -> Int {
        let start = writer.count
        var previous: Int?
        for (index, entry) in entries.enumerated() where entry.isRepresentable {
            let before = writer.count
            writer.align(to: 4, from: start)
            let at = writer.count
            guard entry.byteCount <= limit - (at - start) else {
                writer.truncate(to: before)
                return index
            }
            writer.claim(Self.fixedByteCount)
            if let previous { writer.store(UInt32(at - previous), at: previous) }
            previous = at
            writer.store(entry.flags, at: at + 4)
            writer.store(UInt8(entry.name.count), at: at + 5)
            writer.store(UInt16(entry.value.count), at: at + 6)
            writer.append(entry.name)
            writer.append(UInt8(0))
            writer.append(entry.value)
        }
        return entries.count
    }

    /// FILE_GET_EA_INFORMATION, [MS-FSCC] 2.4.15.1: the names that a query asks for.
    package static func parseNameList(_ data: RawSpan) throws(WireError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var at = 0
        guard data.byteCount > 0 else { return names }
        while true {
            guard names.count < Self.maximumEntries else { throw .limitExceeded("extended attributes") }
            guard data.byteCount - at >= 5 else { throw .truncated("FILE_GET_EA_INFORMATION") }
            let next = Int(data.load(UInt32.self, at: at))
            let length = Int(data.load(UInt8.self, at: at + 4))
            guard length + 1 <= data.byteCount - at - 5 else { throw .outOfBounds("EA name") }
            guard data.load(UInt8.self, at: at + 5 + length) == 0 else { throw .invalidValue("EA name") }
            names.append(data.bytes(in: at + 5..<at + 5 + length))
            guard next != 0 else { return names }
            guard next >= 6 + length, next <= data.byteCount - at else { throw .outOfBounds("NextEntryOffset") }
            at += next
        }
    }

    package static func encodeNames(_ names: [[UInt8]], into writer: inout WireWriter) {
        let start = writer.count
        var previous: Int?
        for name in names {
            writer.align(to: 4, from: start)
            let at = writer.claim(5)
            if let previous { writer.store(UInt32(at - previous), at: previous) }
            previous = at
            writer.store(UInt8(name.count), at: at + 4)
            writer.append(name)
            writer.append(UInt8(0))
        }
    }
}
