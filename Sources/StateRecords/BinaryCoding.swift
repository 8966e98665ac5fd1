/// Why bytes could not be read as records: the writer is newer, or the bytes are damaged.
package enum RecordError: Error, Equatable, Sendable {
    case truncated(needed: Int, left: Int)
    case unknownTag(kind: StaticString, value: UInt8)
    case tooLong(kind: StaticString, count: Int, limit: Int)
    case notUTF8
    case trailingBytes(Int)
    /// What is to be read is of a version of the cluster that this program cannot run.
    case newer(ClusterVersion)

    package static func == (left: RecordError, right: RecordError) -> Bool { "\(left)" == "\(right)" }
}

/// Limits of one encoded value. A length beyond its limit is damage, not data.
package enum RecordLimits {
    /// A string: paths are at most 32,767 UTF-16 units, three UTF-8 bytes each.
    package static let stringBytes = 98_304
    /// An opaque blob inside a record.
    package static let blobBytes = 16 << 20
    /// Elements of an array inside a record.
    package static let elements = 1 << 20
}

/// Appends little-endian values. Everything that Holdfast keeps or says between its own processes is written
/// with this; the SMB wire has its own writer.
package struct BinaryWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// The version of the cluster whose encoding is written: what a record has since a later one is left out. What is replicated is
    /// written for the active version, so that all nodes read the same of it; what a node says to another, or to a person, for
    /// the newest: there the reader skips what it does not know, and nothing is decided by that.
    package private(set) var version: ClusterVersion

    package init(reserving capacity: Int = 0, for version: ClusterVersion = .newest) {
        self.version = version
        self.bytes.reserveCapacity(capacity)
    }

    /// What `body` writes is written for another version.
    package mutating func writing(for version: ClusterVersion, _ body: (inout BinaryWriter) -> Void) {
        let outer = self.version
        self.version = version
        body(&self)
        self.version = outer
    }

    package mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        var little = value.littleEndian
        withUnsafeBytes(of: &little) { self.bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: Bool) { self.bytes.append(value ? 1 : 0) }

    /// UTF-8, its length in bytes before it.
    package mutating func write(_ value: String) {
        let utf8 = value.utf8
        self.write(UInt32(utf8.count))
        self.bytes.append(contentsOf: utf8)
    }

    package mutating func write(_ value: [UInt8]) {
        self.write(UInt32(value.count))
        self.bytes.append(contentsOf: value)
    }

    package mutating func write(_ value: GUID16) {
        self.write(value.low)
        self.write(value.high)
    }

    package mutating func write<Value: BinaryRecord>(_ value: Value) { value.encode(into: &self) }

    package mutating func write<Value: BinaryRecord>(_ value: Value?) {
        self.write(value != nil)
        if let value { value.encode(into: &self) }
    }

    package mutating func write<Value: BinaryRecord>(_ values: [Value]) {
        self.write(UInt32(values.count))
        for value in values { value.encode(into: &self) }
    }

    package mutating func write(_ values: [String]) {
        self.write(UInt32(values.count))
        for value in values { self.write(value) }
    }

    /// A versioned section: its version, its length, then its fields. A reader of an older version skips what it
    /// does not know, which is what lets two versions of Holdfast stand side by side.
    package mutating func section(version: UInt8, _ body: (inout BinaryWriter) -> Void) {
        self.write(version)
        let start = self.bytes.count
        self.write(UInt32(0))
        body(&self)
        let count = UInt32(self.bytes.count - start - 4)
        withUnsafeBytes(of: count.littleEndian) {
            for offset in 0..<4 { self.bytes[start + offset] = $0[offset] }
        }
    }
}

/// Reads what ``BinaryWriter`` wrote. Never traps on damaged bytes; every length is checked by subtraction.
package struct BinaryReader: Sendable {
    private let bytes: [UInt8]
    private var offset: Int
    private var end: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.offset = 0
        self.end = bytes.count
    }

    package init(_ bytes: ArraySlice<UInt8>) { self.init(Array(bytes)) }

    package var left: Int { self.end - self.offset }
    package var isAtEnd: Bool { self.offset == self.end }

    package mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _: Value.Type = Value.self
    ) throws(RecordError) -> Value {
        let size = MemoryLayout<Value>.size
        guard size <= self.left else { throw .truncated(needed: size, left: self.left) }
        let offset = self.offset
        self.offset += size
        return Value(
            littleEndian: self.bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) })
    }

    package mutating func read(_: Bool.Type = Bool.self) throws(RecordError) -> Bool { try self.read(UInt8.self) != 0 }

    package mutating func read(_: String.Type = String.self) throws(RecordError) -> String {
        let count = try self.readCount(kind: "string", limit: RecordLimits.stringBytes)
        guard count <= self.left else { throw .truncated(needed: count, left: self.left) }
        guard let value = String(validating: self.bytes[self.offset..<self.offset + count], as: UTF8.self) else {
            throw .notUTF8
        }
        self.offset += count
        return value
    }

    package mutating func read(_: [UInt8].Type = [UInt8].self) throws(RecordError) -> [UInt8] {
        let count = try self.readCount(kind: "blob", limit: RecordLimits.blobBytes)
        guard count <= self.left else { throw .truncated(needed: count, left: self.left) }
        defer { self.offset += count }
        return Array(self.bytes[self.offset..<self.offset + count])
    }

    package mutating func read(_: GUID16.Type = GUID16.self) throws(RecordError) -> GUID16 {
        GUID16(low: try self.read(), high: try self.read())
    }

    package mutating func read<Value: BinaryRecord>(_: Value.Type = Value.self) throws(RecordError) -> Value {
        try Value(from: &self)
    }

    package mutating func readOptional<Value: BinaryRecord>(
        _: Value.Type = Value.self
    ) throws(RecordError) -> Value? {
        try self.read(Bool.self) ? try Value(from: &self) : nil
    }

    package mutating func readArray<Value: BinaryRecord>(
        _: Value.Type = Value.self, limit: Int = RecordLimits.elements
    ) throws(RecordError) -> [Value] {
        let count = try self.readCount(kind: "array", limit: limit)
        var values: [Value] = []
        values.reserveCapacity(min(count, self.left))
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }

    package mutating func readStrings() throws(RecordError) -> [String] {
        let count = try self.readCount(kind: "strings", limit: RecordLimits.elements)
        var values: [String] = []
        values.reserveCapacity(min(count, self.left))
        for _ in 0..<count { values.append(try self.read(String.self)) }
        return values
    }

    /// The other side of ``BinaryWriter/section(version:_:)``: fields that a newer writer appended are skipped.
    package mutating func section<Result>(
        _ body: (UInt8, inout BinaryReader) throws(RecordError) -> Result
    ) throws(RecordError) -> Result {
        let version = try self.read(UInt8.self)
        let count = try self.readCount(kind: "section", limit: RecordLimits.blobBytes)
        guard count <= self.left else { throw .truncated(needed: count, left: self.left) }
        let outerEnd = self.end
        let sectionEnd = self.offset + count
        self.end = sectionEnd
        let result = try body(version, &self)
        self.offset = sectionEnd
        self.end = outerEnd
        return result
    }

    private mutating func readCount(kind: StaticString, limit: Int) throws(RecordError) -> Int {
        let count = Int(try self.read(UInt32.self))
        guard count <= limit else { throw .tooLong(kind: kind, count: count, limit: limit) }
        return count
    }
}

/// A value that Holdfast keeps or sends between its own processes.
package protocol BinaryRecord: Equatable, Sendable {
    func encode(into writer: inout BinaryWriter)
    init(from reader: inout BinaryReader) throws(RecordError)
}

extension BinaryRecord {
    /// As the newest version has it.
    package var encoded: [UInt8] { self.encoded(for: .newest) }

    package func encoded(for version: ClusterVersion) -> [UInt8] {
        var writer = BinaryWriter(for: version)
        self.encode(into: &writer)
        return writer.bytes
    }

    /// Decodes exactly `bytes`: what is left over is damage.
    package init(decoding bytes: [UInt8]) throws(RecordError) {
        var reader = BinaryReader(bytes)
        self = try Self(from: &reader)
        guard reader.isAtEnd else { throw .trailingBytes(reader.left) }
    }
}
