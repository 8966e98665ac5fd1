/// Where four bytes were last seen: one candidate a hash, which is what makes it fast. Shared by all compressors here.
struct MatchTable: ~Copyable {
    /// At most 64 KiB of table: it stays in the second-level cache.
    private static let maximumBits = 14
    private static let minimumBits = 8
    // As large as it can be, from init to deinit. A slot is a word's product shifted so far that only `maximumBits` of it,
    // or fewer, are left: it cannot lie outside. An array would ask with every store whether it is shared.
    private let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 1 << MatchTable.maximumBits)
    private var shift = UInt32(32 - MatchTable.minimumBits)

    init() { self.table.initialize(repeating: 0, count: 1 << Self.maximumBits) }

    deinit { self.table.deallocate() }

    /// Forgets everything. A small input gets a small table, because clearing it must not cost more than the input.
    mutating func reset(for byteCount: Int) {
        var bits = Self.minimumBits
        while bits < Self.maximumBits, 1 << bits < byteCount { bits += 1 }
        self.shift = UInt32(32 - bits)
        self.table.update(repeating: 0, count: 1 << bits)
    }

    /// Remembers the four bytes at `position`, and returns where the same hash was last seen. Positions are kept plus
    /// one: zero is "never".
    @inline(__always)
    mutating func exchange(_ word: UInt32, at position: Int) -> Int? {
        let slot = Int((word &* 2_654_435_761) >> self.shift)
        let old = self.table[slot]
        self.table[slot] = UInt32(truncatingIfNeeded: position + 1)
        return old == 0 ? nil : Int(old) - 1
    }
}

/// A place where the input repeats itself.
struct Match {
    var position: Int
    var distance: Int
    var length: Int
}

/// Walks through an input and finds where it repeats itself, greedily. The longer nothing is found, the larger its steps:
/// what does not compress is passed over quickly.
struct MatchFinder {
    private let bytes: UnsafeRawBufferPointer
    private let window: Int
    /// Where the next search starts.
    var position: Int
    private let end: Int
    /// The first position at which four bytes are no longer there.
    private let lastStart: Int

    /// - Parameters:
    ///   - window: the largest distance.
    ///   - range: matches start and end in it.
    ///   - guardBytes: as many bytes at the range's end are never part of a match.
    init(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>, window: Int, guardBytes: Int = 0) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        self.bytes = bytes
        self.window = window
        self.position = range.lowerBound
        self.end = max(range.upperBound - guardBytes, range.lowerBound)
        self.lastStart = self.end - 4
    }

    @inline(__always)
    private func word(at position: Int) -> UInt32 {
        self.bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self).littleEndian
    }

    /// - Parameter origin: the match's source must not lie before this.
    @inline(__always)
    mutating func next(_ table: inout MatchTable, notBefore origin: Int = 0) -> Match? {
        // Only positions up to `lastStart` are loaded from, and candidates lie before them.
        var misses = 0
        var at = self.position
        while at <= self.lastStart {
            let word = self.word(at: at)
            if let candidate = table.exchange(word, at: at), candidate >= origin, at - candidate <= self.window,
                candidate < at, self.word(at: candidate) == word
            {
                let length = 4 + self.commonLength(candidate + 4, at + 4)
                self.position = at + length
                if self.position - 2 <= self.lastStart {
                    _ = table.exchange(self.word(at: self.position - 2), at: self.position - 2)
                }
                return Match(position: at, distance: at - candidate, length: length)
            }
            misses += 1
            at += 1 + (misses >> 6)
        }
        self.position = self.end
        return nil
    }

    @inline(__always)
    private func commonLength(_ left: Int, _ right: Int) -> Int {
        var length = 0
        while right + length + 8 <= self.end {
            let difference =
                self.bytes.loadUnaligned(fromByteOffset: left + length, as: UInt64.self).littleEndian
                ^ self.bytes.loadUnaligned(fromByteOffset: right + length, as: UInt64.self).littleEndian
            if difference != 0 { return length + difference.trailingZeroBitCount / 8 }
            length += 8
        }
        while right + length < self.end, self.bytes[left + length] == self.bytes[right + length] { length += 1 }
        return length
    }
}

/// Whether what was written so far says that the rest will not pay: asked once, behind the first 64 KiB.
struct Prospect {
    private static let sampleByteCount = 64 << 10
    private var isDecided = false

    @inline(__always)
    mutating func isPoor(read: Int, written: Int) -> Bool {
        guard !self.isDecided, read >= Self.sampleByteCount else { return false }
        self.isDecided = true
        return written > read - read / 16
    }
}
