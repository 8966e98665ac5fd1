/// Reads NDR 2.0, C706 chapter 14, from stub data. Alignment is relative to the stub's beginning.
package struct NDRReader: ~Escapable {
    /// Units in one string, and elements in one array.
    package static let maximumElements = 65_536

    private let stub: RawSpan
    package private(set) var offset = 0

    @_lifetime(copy stub)
    package init(_ stub: RawSpan) { self.stub = stub }

    package var remaining: Int { self.stub.byteCount - self.offset }

    package mutating func align(to alignment: Int) throws(WireError) {
        let aligned = (self.offset + alignment - 1) & ~(alignment - 1)
        guard aligned <= self.stub.byteCount else { throw .truncated("NDR padding") }
        self.offset = aligned
    }

    package mutating func uint8() throws(WireError) -> UInt8 {
        guard self.remaining >= 1 else { throw .truncated("NDR small") }
        defer { self.offset += 1 }
        return self.stub.load(UInt8.self, at: self.offset)
    }

    package mutating func uint16() throws(WireError) -> UInt16 {
        try self.align(to: 2)
        guard self.remaining >= 2 else { throw .truncated("NDR short") }
        defer { self.offset += 2 }
        return self.stub.load(UInt16.self, at: self.offset)
    }

    package mutating func uint32() throws(WireError) -> UInt32 {
        try self.align(to: 4)
        guard self.remaining >= 4 else { throw .truncated("NDR long") }
        defer { self.offset += 4 }
        return self.stub.load(UInt32.self, at: self.offset)
    }

    /// Whether a unique pointer points to something; what it points to comes later, or next for a parameter.
    package mutating func pointer() throws(WireError) -> Bool { try self.uint32() != 0 }

    /// The number of elements of a conformant array: at most `limit`, and no more than the bytes that are left can hold
    /// at `elementByteCount` each, so that whoever reserves room for them reserves no more than was sent.
    package mutating func count(
        limit: Int = Self.maximumElements, elementByteCount: Int
    ) throws(WireError) -> Int {
        let count = try self.uint32()
        guard count <= UInt32(limit) else { throw .limitExceeded("NDR array") }
        guard Int(count) * elementByteCount <= self.remaining else { throw .truncated("NDR array") }
        return Int(count)
    }

    /// A conformant and varying array of wide characters, C706 14.3.4: a terminator is cut off.
    package mutating func string() throws(WireError) -> String {
        let maximum = try self.uint32()
        guard try self.uint32() == 0 else { throw .invalidValue("NDR string offset") }
        let actual = try self.uint32()
        guard actual <= maximum, actual <= UInt32(Self.maximumElements) else { throw .limitExceeded("NDR string") }
        let length = Int(actual) * 2
        guard length <= self.remaining else { throw .truncated("NDR string") }
        let start = self.offset
        self.offset += length
        // The terminator is counted; some clients leave it out.
        var end = start + length
        if length >= 2, self.stub.load(UInt16.self, at: end - 2) == 0 { end -= 2 }
        return try UTF16LE.decode(self.stub.extracting(start..<end))
    }

    /// A unique pointer that is a parameter, to a string.
    package mutating func uniqueString() throws(WireError) -> String? {
        try self.pointer() ? try self.string() : nil
    }

    /// The bytes of a conformant array.
    package mutating func conformantBytes() throws(WireError) -> [UInt8] {
        let count = try self.count(elementByteCount: 1)
        return try self.bytes(count)
    }

    package mutating func bytes(_ count: Int) throws(WireError) -> [UInt8] {
        guard count <= self.remaining else { throw .truncated("NDR bytes") }
        defer { self.offset += count }
        return self.stub.bytes(in: self.offset..<self.offset + count)
    }

    /// RPC_SID, [MS-DTYP] 2.4.2.3: the number of sub-authorities as the array's, and then the SID.
    package mutating func sid() throws(WireError) -> SID {
        let count = try self.count(limit: SID.maximumSubAuthorities, elementByteCount: 4)
        let byteCount = 8 + 4 * count
        guard byteCount <= self.remaining else { throw .truncated("RPC_SID") }
        let sid = try SID(parsing: self.stub.extracting(self.offset..<self.offset + byteCount))
        guard sid.subAuthorities.count == count else { throw .invalidValue("RPC_SID") }
        self.offset += byteCount
        return sid
    }

    /// A context handle, C706 14.2.16.6 and appendix N: attributes, and a UUID.
    package mutating func contextHandle() throws(WireError) -> RPCContextHandle {
        let attributes = try self.uint32()
        guard self.remaining >= GUID.byteCount else { throw .truncated("context handle") }
        defer { self.offset += GUID.byteCount }
        return RPCContextHandle(attributes: attributes, uuid: GUID(loading: self.stub, at: self.offset))
    }

    /// The fixed part of RPC_UNICODE_STRING, [MS-DTYP] 2.3.10: whether a buffer comes among the deferred parts.
    package mutating func unicodeStringHeader() throws(WireError) -> Bool {
        try self.align(to: 4)
        let length = try self.uint16()
        let maximum = try self.uint16()
        guard length <= maximum, length & 1 == 0 else { throw .invalidValue("RPC_UNICODE_STRING") }
        let isPresent = try self.pointer()
        guard isPresent || length == 0 else { throw .invalidValue("RPC_UNICODE_STRING without a buffer") }
        return isPresent
    }

    /// An RPC_UNICODE_STRING that is a parameter.
    package mutating func unicodeString() throws(WireError) -> String {
        try self.unicodeStringHeader() ? try self.string() : ""
    }

    /// The elements of a conformant array of RPC_UNICODE_STRING, with what they point to.
    package mutating func unicodeStrings(_ count: Int) throws(WireError) -> [String] {
        var present: [Bool] = []
        present.reserveCapacity(count)
        for _ in 0..<count { present.append(try self.unicodeStringHeader()) }
        var strings: [String] = []
        strings.reserveCapacity(count)
        for isPresent in present { strings.append(isPresent ? try self.string() : "") }
        return strings
    }
}

/// What a call of one kind leaves with the server for calls of another: a policy, a domain, a user that was opened.
package struct RPCContextHandle: Hashable, Sendable {
    package static let byteCount = 20
    /// What a close leaves in its parameter.
    package static let null = RPCContextHandle(attributes: 0, uuid: .zero)

    package var attributes: UInt32
    package var uuid: GUID

    package init(attributes: UInt32 = 0, uuid: GUID) {
        self.attributes = attributes
        self.uuid = uuid
    }
}

/// Writes NDR 2.0 stub data.
package struct NDRWriter {
    private var writer = WireWriter(capacity: 1024)
    private var referents: UInt32 = 0

    package init() {}

    package var bytes: [UInt8] { self.writer.bytes }

    package mutating func align(to alignment: Int) { self.writer.align(to: alignment, from: 0) }

    package mutating func append(_ value: UInt8) { self.writer.append(value) }

    package mutating func append(_ value: UInt16) {
        self.align(to: 2)
        self.writer.append(value)
    }

    package mutating func append(_ value: UInt32) {
        self.align(to: 4)
        self.writer.append(value)
    }

    package mutating func append(_ status: NTStatus) { self.append(status.rawValue) }

    /// A 64-bit value as OLD_LARGE_INTEGER, [MS-SAMR] 2.2.10.2: two longs, aligned like one.
    package mutating func append(halves value: UInt64) {
        self.append(UInt32(truncatingIfNeeded: value))
        self.append(UInt32(truncatingIfNeeded: value >> 32))
    }

    /// A unique pointer: a referent of its own, or null.
    package mutating func appendPointer(_ isPresent: Bool) {
        guard isPresent else {
            self.append(UInt32(0))
            return
        }
        self.append(0x0002_0000 + 4 * self.referents)
        self.referents += 1
    }

    /// A conformant and varying string with its terminator.
    package mutating func append(string: String) {
        let units = UInt32(string.utf16.count + 1)
        self.append(units)
        self.append(UInt32(0))
        self.append(units)
        self.writer.append(utf16: string)
        self.writer.append(UInt16(0))
    }

    /// A unique pointer that is a parameter, to a string.
    package mutating func append(uniqueString string: String?) {
        self.appendPointer(string != nil)
        if let string { self.append(string: string) }
    }

    package mutating func append(conformantBytes bytes: [UInt8]) {
        self.append(UInt32(bytes.count))
        self.writer.append(bytes)
    }

    package mutating func append(bytes: [UInt8]) { self.writer.append(bytes) }

    /// RPC_SID, [MS-DTYP] 2.4.2.3.
    package mutating func append(_ sid: SID) {
        self.append(UInt32(sid.subAuthorities.count))
        sid.encode(into: &self.writer)
    }

    package mutating func append(_ handle: RPCContextHandle) {
        self.append(handle.attributes)
        self.writer.append(handle.uuid)
    }

    /// The longest text that RPC_UNICODE_STRING can say the length of.
    private static let maximumUnicodeUnits = 32_766

    /// The fixed part of RPC_UNICODE_STRING, [MS-DTYP] 2.3.10; nil: a null pointer.
    package mutating func appendHeader(unicode text: String?) {
        self.align(to: 4)
        let byteCount = UInt16(2 * min(text?.utf16.count ?? 0, Self.maximumUnicodeUnits))
        self.append(byteCount)
        self.append(byteCount)
        self.appendPointer(text != nil)
    }

    /// What the fixed part points to.
    package mutating func appendBody(unicode text: String?) {
        guard let text else { return }
        let units = text.utf16.prefix(Self.maximumUnicodeUnits)
        self.append(UInt32(units.count))
        self.append(UInt32(0))
        self.append(UInt32(units.count))
        for unit in units { self.writer.append(unit) }
    }

    /// A conformant array of RPC_UNICODE_STRING.
    package mutating func append(unicodeStrings texts: [String]) {
        self.append(UInt32(texts.count))
        for text in texts { self.appendHeader(unicode: text) }
        for text in texts { self.appendBody(unicode: text) }
    }
}
