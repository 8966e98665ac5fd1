/// Little-endian loads and range checks over bytes that a peer sent.
extension RawSpan {
    /// The integer at `offset`. The caller has checked the length: going beyond it is our own bug and traps.
    @inlinable
    package func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
        T(littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Refuses a span with fewer than `count` bytes.
    package func require(_ count: Int, _ what: String) throws(WireError) {
        guard self.byteCount >= count else { throw .truncated(what) }
    }

    /// Checks the one thing every SMB2 body has: `fixed` bytes behind the 64-byte header, the first two of them the
    /// StructureSize. `self` starts at the SMB2 header.
    package func requireBody(
        _ structureSize: UInt16, fixed: Int, _ what: String
    ) throws(WireError) {
        guard self.byteCount >= SMB2Header.byteCount + fixed else { throw .truncated(what) }
        guard self.load(UInt16.self, at: SMB2Header.byteCount) == structureSize else { throw .structureSize(what) }
    }

    /// A variable part as the peer describes it, checked to lie within the span and not before `floor`.
    /// A part of no bytes is `floor..<floor` wherever it claims to be: the offset is then meaningless.
    package func range(
        offset: Int, length: Int, notBefore floor: Int, _ what: String
    ) throws(WireError) -> Range<Int> {
        guard length > 0 else { return floor..<floor }
        guard offset >= floor, offset <= self.byteCount, length <= self.byteCount - offset else {
            throw .outOfBounds(what)
        }
        return offset..<offset + length
    }

    /// A copy of the bytes in `range`.
    package func bytes(in range: Range<Int>) -> [UInt8] {
        self.extracting(range).withUnsafeBytes { [UInt8]($0) }
    }

    /// A copy of all the bytes.
    package var copied: [UInt8] { self.withUnsafeBytes { [UInt8]($0) } }

    /// Whether both spans hold the same bytes.
    package func hasSameBytes(as other: RawSpan) -> Bool {
        guard self.byteCount == other.byteCount else { return false }
        for index in 0..<self.byteCount where self.load(UInt8.self, at: index) != other.load(UInt8.self, at: index) {
            return false
        }
        return true
    }
}
