/// Bytes being written, little-endian, with stores at earlier offsets.
///
/// The storage is as long as its capacity and is only ever zeroed when it grows, so a pooled writer that is reset and
/// used again neither allocates nor clears; `count` says how much of it is the message. A caller that wants the bytes of a
/// read behind the header claims them uncleared (`claimUncleared`) and fills them in place (`withUnsafeMutableBytes`).
package struct WireWriter: Sendable {
    @usableFromInline package private(set) var storage: [UInt8]
    /// Bytes written so far.
    @usableFromInline package private(set) var count: Int
    /// Where the SMB2 header of the message being written starts: offsets in bodies are relative to it.
    /// `SMB2Header.encode(into:)` sets it.
    package var messageStart: Int

    package init(capacity: Int = 512) {
        self.storage = [UInt8](repeating: 0, count: capacity)
        self.count = 0
        self.messageStart = 0
    }

    /// A writer over an existing buffer, from its beginning; the buffer's whole length is capacity.
    package init(reusing storage: consuming [UInt8]) {
        self.storage = storage
        self.count = 0
        self.messageStart = 0
    }

    /// Ends the writer and gives its storage back: the first `count` bytes are the message.
    package consuming func takeStorage() -> [UInt8] { self.storage }

    /// Forgets what was written; keeps the storage.
    package mutating func reset() {
        self.count = 0
        self.messageStart = 0
    }

    /// What was written, as an array of its own (a copy).
    package var bytes: [UInt8] { [UInt8](self.storage[..<self.count]) }

    /// What was written, borrowed.
    package var span: RawSpan {
        @_lifetime(borrow self) get { self.storage.span.bytes.extracting(0..<self.count) }
    }

    /// The offset at which the next byte lands, relative to the SMB2 header of this message.
    @inlinable package var offsetInMessage: Int { self.count - self.messageStart }

    // MARK: Growing

    /// Makes room for `additional` more bytes without a further growth.
    @inlinable
    package mutating func reserve(_ additional: Int) {
        if additional > self.storage.count - self.count { self.grow(by: additional) }
    }

    @inline(never) @usableFromInline
    mutating func grow(by additional: Int) {
        let wanted = Swift.max(self.count + additional, self.storage.count * 2, 64)
        // As raw memory: an element at a time takes seconds for a few MB in a build that is not optimized.
        self.storage = [UInt8](unsafeUninitializedCapacity: wanted) { elements, count in
            let grown = UnsafeMutableRawBufferPointer(elements)
            self.storage.withUnsafeBytes { grown.copyMemory(from: $0) }
            _ = UnsafeMutableRawBufferPointer(rebasing: grown[self.storage.count...])
                .initializeMemory(as: UInt8.self, repeating: 0)
            count = wanted
        }
    }

    /// Appends `byteCount` zeros and returns where they start; fill them with `store`.
    @discardableResult
    package mutating func claim(_ byteCount: Int) -> Int {
        let start = self.claimUncleared(byteCount)
        self.storage.withUnsafeMutableBytes { buffer in
            _ = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + byteCount]).initializeMemory(
                as: UInt8.self, repeating: 0)
        }
        return start
    }

    /// Appends `byteCount` bytes of whatever was there: the caller overwrites all of them, or truncates, before the message leaves.
    package mutating func claimUncleared(_ byteCount: Int) -> Int {
        precondition(byteCount >= 0)
        self.reserve(byteCount)
        let start = self.count
        self.count += byteCount
        return start
    }

    /// Cuts the message back to `count` bytes.
    package mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        self.count = count
    }

    /// Appends zeros until the position relative to `start` is a multiple of `alignment` (a power of two).
    package mutating func align(to alignment: Int, from start: Int) {
        let over = (self.count - start) & (alignment - 1)
        if over != 0 { self.claim(alignment - over) }
    }

    /// Aligns relative to the SMB2 header of this message.
    package mutating func align(to alignment: Int) { self.align(to: alignment, from: self.messageStart) }

    // MARK: Appending and storing

    @inlinable
    package mutating func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        let size = MemoryLayout<T>.size
        self.reserve(size)
        let at = self.count
        self.storage.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self) }
        self.advance(size)
    }

    @usableFromInline
    mutating func advance(_ byteCount: Int) { self.count += byteCount }

    /// Overwrites bytes that were already written or claimed.
    @inlinable
    package mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && MemoryLayout<T>.size <= self.count - offset)
        self.storage.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self) }
    }

    package mutating func append(_ bytes: RawSpan) {
        let start = self.claimUncleared(bytes.byteCount)
        guard bytes.byteCount > 0 else { return }
        self.storage.withUnsafeMutableBytes { target in
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: target[start..<start + source.count]).copyMemory(from: source)
            }
        }
    }

    package mutating func append(_ bytes: [UInt8]) { self.append(bytes.span.bytes) }

    /// The bytes in `range`, to be filled or changed in place (file data, signature, encryption).
    package mutating func withUnsafeMutableBytes<R, E: Error>(
        in range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        precondition(range.lowerBound >= 0 && range.upperBound <= self.count)
        let result: Result<R, E> = self.storage.withUnsafeMutableBytes { buffer in
            do throws(E) {
                return .success(try body(UnsafeMutableRawBufferPointer(rebasing: buffer[range])))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
