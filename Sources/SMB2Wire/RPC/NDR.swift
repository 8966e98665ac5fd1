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

    /// A conformant and varying string of wide characters with its terminator, C706 14.3.4.2.
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
        let count = try self.uint32()
        guard count <= UInt32(Self.maximumElements) else { throw .limitExceeded("NDR array") }
        guard Int(count) <= self.remaining else { throw .truncated("NDR array") }
        defer { self.offset += Int(count) }
        return self.stub.bytes(in: self.offset..<self.offset + Int(count))
    }
}

/// Writes NDR 2.0 stub data.
package struct NDRWriter {
    private var writer = WireWriter(capacity: 1024)
    private var referents: UInt32 = 0

    package init() {}

    package var bytes: [UInt8] { self.writer.bytes }

    package mutating func align(to alignment: Int) { self.writer.align(to: alignment, from: 0) }

    package mutating func append(_ value: UInt16) {
        self.align(to: 2)
        self.writer.append(value)
    }

    package mutating func append(_ value: UInt32) {
        self.align(to: 4)
        self.writer.append(value)
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

    package mutating func append(conformantBytes bytes: [UInt8]) {
        self.append(UInt32(bytes.count))
        self.writer.append(bytes)
    }
}
