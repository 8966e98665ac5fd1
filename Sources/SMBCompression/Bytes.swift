/// Compressed bytes being read. Every read says whether there was something to read.
struct ByteSource {
    // Valid as long as the buffer the caller lent; only reads below `count` happen.
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { self.bytes.count - self.position }
    var isAtEnd: Bool { self.position == self.bytes.count }

    @inline(__always)
    mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(CompressionError) -> T {
        guard MemoryLayout<T>.size <= self.bytes.count - self.position else { throw .truncated }
        let value = self.bytes.loadUnaligned(fromByteOffset: self.position, as: T.self)
        self.position += MemoryLayout<T>.size
        return T(littleEndian: value)
    }

    /// Copies what is mostly a few bytes.
    @inline(__always)
    mutating func move(_ byteCount: Int, to output: inout ByteTarget) throws(CompressionError) {
        if byteCount <= 16, self.remaining >= 16, output.room >= 16, byteCount >= 0 {
            let start = self.bytes.baseAddress.map { $0 + self.position }
            guard let start else { throw .truncated }
            output.append(firstOf16: start, count: byteCount)
            self.position += byteCount
        } else {
            try output.append(try self.read(byteCount: byteCount))
        }
    }

    @inline(__always)
    mutating func read(byteCount: Int) throws(CompressionError) -> UnsafeRawBufferPointer {
        guard byteCount >= 0, byteCount <= self.bytes.count - self.position else { throw .truncated }
        let part = UnsafeRawBufferPointer(rebasing: self.bytes[self.position..<self.position + byteCount])
        self.position += byteCount
        return part
    }
}

/// A buffer being filled. Nothing is ever written behind its end, nothing read before its start.
struct ByteTarget {
    private let bytes: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    var capacity: Int { self.bytes.count }
    var room: Int { self.bytes.count - self.count }
    var isFull: Bool { self.count == self.bytes.count }

    /// Somebody else filled the next bytes.
    mutating func advance(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= self.room)
        self.count += byteCount
    }

    // MARK: Decompressing

    @inline(__always)
    mutating func append(_ byte: UInt8) throws(CompressionError) {
        guard self.count < self.bytes.count else { throw .outputExceeded }
        self.bytes.storeBytes(of: byte, toByteOffset: self.count, as: UInt8.self)
        self.count += 1
    }

    @inline(__always)
    mutating func append(_ source: UnsafeRawBufferPointer) throws(CompressionError) {
        guard source.count <= self.room else { throw .outputExceeded }
        guard source.count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: self.bytes[self.count..<self.count + source.count])
            .copyMemory(from: source)
        self.count += source.count
    }

    /// Appends `count` of 16 bytes; the caller has looked that there are 16, and room for as many.
    @inline(__always)
    mutating func append(firstOf16 source: UnsafeRawPointer, count: Int) {
        precondition(count <= 16 && self.room >= 16)
        let low = source.loadUnaligned(as: UInt64.self)
        let high = source.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        self.bytes.storeBytes(of: low, toByteOffset: self.count, as: UInt64.self)
        self.bytes.storeBytes(of: high, toByteOffset: self.count + 8, as: UInt64.self)
        self.count += count
    }

    mutating func append(repeating byte: UInt8, count: Int) throws(CompressionError) {
        guard count >= 0, count <= self.room else { throw .outputExceeded }
        UnsafeMutableRawBufferPointer(rebasing: self.bytes[self.count..<self.count + count])
            .initializeMemory(as: UInt8.self, repeating: byte)
        self.count += count
    }

    /// Repeats `length` bytes from `distance` back; they may overlap what they make.
    ///
    /// - Parameter origin: the match must not reach before this.
    @inline(__always)
    mutating func copy(distance: Int, length: Int, notBefore origin: Int = 0) throws(CompressionError) {
        guard distance > 0, distance <= self.count - origin else { throw .distance }
        guard length <= self.bytes.count - self.count else { throw .outputExceeded }
        guard length > 0, let base = self.bytes.baseAddress else { return }
        let to = base + self.count
        let from = to - distance
        if distance >= 8 {
            // Eight at a time never read what they write. Where there is room, the last eight may go beyond the length:
            // what comes next is written over them.
            var at = 0
            let end = self.bytes.count - self.count - length >= 8 ? length : length - 7
            while at < end {
                to.storeBytes(of: (from + at).loadUnaligned(as: UInt64.self), toByteOffset: at, as: UInt64.self)
                at += 8
            }
            while at < length {
                to.storeBytes(of: from.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
                at += 1
            }
        } else if distance == 1 {
            UnsafeMutableRawBufferPointer(start: to, count: length)
                .initializeMemory(as: UInt8.self, repeating: from.load(as: UInt8.self))
        } else {
            for at in 0..<length {
                to.storeBytes(of: from.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
            }
        }
        self.count += length
    }

    // MARK: Compressing

    /// Appends where there is room; the caller has asked.
    @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        precondition(MemoryLayout<T>.size <= self.bytes.count - self.count)
        self.bytes.storeBytes(of: value.littleEndian, toByteOffset: self.count, as: T.self)
        self.count += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func put(_ source: UnsafeRawBufferPointer, from start: Int, count: Int) {
        precondition(count >= 0 && count <= self.room && start >= 0 && count <= source.count - start)
        guard count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: self.bytes[self.count..<self.count + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + count]))
        self.count += count
    }

    /// Leaves room for a value that is stored later, and returns where.
    @inline(__always)
    mutating func claim(_ byteCount: Int) -> Int {
        precondition(byteCount <= self.room)
        let at = self.count
        self.count += byteCount
        return at
    }

    @inline(__always)
    func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && MemoryLayout<T>.size <= self.count - offset)
        self.bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }

    @inline(__always)
    func load(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < self.count)
        return self.bytes.load(fromByteOffset: offset, as: UInt8.self)
    }

    mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        self.count = count
    }
}
