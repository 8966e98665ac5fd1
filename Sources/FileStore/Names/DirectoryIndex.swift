import CLinux
import SMB2Wire
import Synchronization

/// The names of one directory by their folded form: what makes lookups case-insensitive without a scan a lookup.
///
/// Names lie one after another in `text`; the hash table is open, its slots hold an entry's number. Not the names decide
/// what exists, the kernel does: an index only says which spelling to ask it for.
struct DirectoryIndex: Sendable {
    private struct Entry {
        var hash: UInt64
        var offset: UInt32
        /// 0 once the name is gone.
        var length: UInt16
    }

    private static let emptySlot = UInt32.max
    private var entries: [Entry] = []
    private var text: [UInt8] = []
    private var slots: [UInt32] = Array(repeating: emptySlot, count: 64)
    private var upcase = UpcaseTable()
    private(set) var count = 0

    /// Every name that the directory has now.
    init(reading directory: Int32) throws(FileError) {
        var reader = try DirectoryReader(directory)
        while try reader.next({ name, _ in if !isDotEntry(name) { self.insert(name) } }) {}
    }

    init() {}

    /// Upper case, as shown to a client.
    func fold(_ name: UnsafeBufferPointer<UInt8>, into units: inout [UInt16]) {
        units.removeAll(keepingCapacity: true)
        NameText.appendShown(name, to: &units)
        for index in units.indices { units[index] = self.upcase[units[index]] }
    }

    private static func hash(_ units: [UInt16]) -> UInt64 {
        // Seeded a process: names that collide cannot be prepared.
        var hasher = Hasher()
        units.withUnsafeBytes { hasher.combine(bytes: $0) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    mutating func insert(_ name: UnsafeBufferPointer<UInt8>) {
        guard name.count <= FileStoreLimits.nameBytes, self.text.count < Int(UInt32.max) - name.count else { return }
        if (self.entries.count + 1) * 2 > self.slots.count { self.grow() }
        var units: [UInt16] = []
        self.fold(name, into: &units)
        let hash = Self.hash(units)
        self.entries.append(Entry(hash: hash, offset: UInt32(self.text.count), length: UInt16(name.count)))
        self.text.append(contentsOf: name)
        self.place(UInt32(self.entries.count - 1), hash)
        self.count += 1
    }

    private mutating func place(_ entry: UInt32, _ hash: UInt64) {
        let mask = self.slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while self.slots[slot] != Self.emptySlot { slot = (slot + 1) & mask }
        self.slots[slot] = entry
    }

    /// Twice the slots; what is gone is left behind.
    private mutating func grow() {
        var old = DirectoryIndex()
        swap(&old, &self)
        self.slots = Array(repeating: Self.emptySlot, count: max(64, old.count * 4).nextPowerOfTwo)
        self.entries.reserveCapacity(old.count * 2)
        for entry in old.entries where entry.length > 0 {
            let start = Int(entry.offset)
            let moved = Entry(hash: entry.hash, offset: UInt32(self.text.count), length: entry.length)
            self.text.append(contentsOf: old.text[start..<(start + Int(entry.length))])
            self.entries.append(moved)
            self.place(UInt32(self.entries.count - 1), entry.hash)
        }
        self.count = old.count
    }

    mutating func remove(_ name: [UInt8]) {
        var units: [UInt16] = []
        name.withUnsafeBufferPointer { self.fold($0, into: &units) }
        self.forEachCandidate(Self.hash(units)) { index in
            let entry = self.entries[index]
            let start = Int(entry.offset)
            guard self.text[start..<(start + Int(entry.length))].elementsEqual(name) else { return false }
            return true
        }.map { index in
            self.entries[index].length = 0
            self.count -= 1
        }
    }

    /// The spelling on disk of a name that differs from `name` in case at most. An exact spelling is preferred.
    func lookup(_ name: [UInt8]) -> [UInt8]? {
        var wanted: [UInt16] = []
        name.withUnsafeBufferPointer { self.fold($0, into: &wanted) }
        var units: [UInt16] = []
        var found: [UInt8]?
        _ = self.forEachCandidate(Self.hash(wanted)) { index in
            let entry = self.entries[index]
            let start = Int(entry.offset)
            return self.text.withUnsafeBufferPointer { text in
                let spelling = UnsafeBufferPointer(rebasing: text[start..<(start + Int(entry.length))])
                self.fold(spelling, into: &units)
                guard units == wanted else { return false }
                let isExact = spelling.elementsEqual(name)
                if found == nil || isExact { found = Array(spelling) }
                return isExact
            }
        }
        return found
    }

    /// The first living entry of this hash for which `isWanted` is true.
    private func forEachCandidate(_ hash: UInt64, _ isWanted: (Int) -> Bool) -> Int? {
        let mask = self.slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while self.slots[slot] != Self.emptySlot {
            let index = Int(self.slots[slot])
            if self.entries[index].hash == hash, self.entries[index].length > 0, isWanted(index) { return index }
            slot = (slot + 1) & mask
        }
        return nil
    }
}

extension Int {
    fileprivate var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}

/// The indexes of a volume's directories, each good as long as its directory's mtime and ctime are what they were.
///
/// Our own creations and removals go through `change`, which carries the index over them. What others do to the directory
/// (there are none on a clustered share) shows in its times; a change of theirs in the very clock tick of one of ours is
/// seen with the next one. A stale index never names a file that is not there: the kernel is asked in any case.
final class DirectoryIndexes: Sendable {
    private struct Stamp: Equatable {
        var modified: FileTime
        var changed: FileTime
        var fineModified: UInt32
        var fineChanged: UInt32

        init(_ status: FileStatus) {
            self.modified = status.writeTime
            self.changed = status.changeTime
            self.fineModified = status.raw.mtime.nanoseconds
            self.fineChanged = status.raw.ctime.nanoseconds
        }
    }

    private struct Slot {
        var index: DirectoryIndex
        var stamp: Stamp
        var lastUse: UInt64
    }

    /// Changes of one directory that are under way. Where two overlap, neither knows of the other's names, and the
    /// stamp that either would take covers both: then no index is kept.
    private struct Flux {
        var active = 0
        var isSpoiled = false

        mutating func begin() {
            if self.active > 0 { self.isSpoiled = true }
            self.active += 1
        }

        mutating func end() -> Bool {
            self.active -= 1
            return !self.isSpoiled
        }
    }

    private struct State {
        var slots: [UInt64: Slot] = [:]
        var inFlux: [UInt64: Flux] = [:]
        var clock: UInt64 = 0
        var names = 0

        mutating func take(_ inode: UInt64) -> Slot? {
            guard let slot = self.slots.removeValue(forKey: inode) else { return nil }
            self.names -= slot.index.count
            return slot
        }
    }

    private let state = Mutex(State())
    private let stripes = (0..<64).map { _ in Stripe() }

    private final class Stripe: Sendable {
        let lock = Mutex(())
    }

    /// One creation or removal at a time in a directory: of two names that differ in case only the second finds the first,
    /// and the index is carried from one to the next.
    func exclusively<Result: ~Copyable>(
        in directory: Int32, _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let inode = try FileStatus(number: directory).inode
        return try self.stripes[Int(truncatingIfNeeded: inode % UInt64(self.stripes.count))].lock.withLock {
            _ throws(FileError) in try body()
        }
    }

    /// The spelling on disk of `name` in the open directory, if there is one.
    func spelling(of name: [UInt8], in directory: Int32) throws(FileError) -> [UInt8]? {
        let status = try FileStatus(number: directory)
        let stamp = Stamp(status)
        return try self.state.withLock { state throws(FileError) in
            state.clock += 1
            let clock = state.clock
            if state.slots[status.inode]?.stamp == stamp {
                state.slots[status.inode]?.lastUse = clock
                return state.slots[status.inode]?.index.lookup(name)
            }
            _ = state.take(status.inode)
            let index = try DirectoryIndex(reading: directory)
            let found = index.lookup(name)
            guard index.count <= FileStoreLimits.indexedNames, state.inFlux[status.inode] == nil else { return found }
            state.names += index.count
            state.slots[status.inode] = Slot(index: index, stamp: stamp, lastUse: clock)
            Self.evict(&state, keeping: status.inode)
            return found
        }
    }

    private static func evict(_ state: inout State, keeping: UInt64) {
        while state.slots.count > FileStoreLimits.indexedDirectories || state.names > FileStoreLimits.indexedNames {
            let oldest = state.slots.filter { $0.key != keeping }.min { $0.value.lastUse < $1.value.lastUse }
            guard let oldest else { return }
            state.names -= oldest.value.index.count
            state.slots[oldest.key] = nil
        }
    }

    /// Does something to the directory's names and carries its index, if there is a good one, over it.
    func change<Result: ~Copyable>(
        _ directory: Int32, removing: [UInt8]? = nil, adding: [UInt8]? = nil,
        _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let before = try FileStatus(number: directory)
        let inode = before.inode
        // Taken out while it is in flux: another thread that looks meanwhile reads the directory itself.
        var slot = self.state.withLock { state -> Slot? in
            state.inFlux[inode, default: Flux()].begin()
            guard let slot = state.take(inode) else { return nil }
            return slot.stamp == Stamp(before) ? slot : nil
        }
        defer {
            self.state.withLock { state in
                let mayKeep = state.inFlux[inode, default: Flux()].end()
                if state.inFlux[inode]?.active == 0 { state.inFlux[inode] = nil }
                guard mayKeep, let slot else { return }
                _ = state.take(inode)
                state.names += slot.index.count
                state.slots[inode] = slot
            }
        }
        let result = try body()
        guard slot != nil else { return result }
        if let removing { slot?.index.remove(removing) }
        if let adding {
            // A name that was replaced is there already.
            slot?.index.remove(adding)
            adding.withUnsafeBufferPointer { slot?.index.insert($0) }
        }
        slot?.stamp = Stamp(try FileStatus(number: directory))
        return result
    }

    /// The directory's times were set by hand: an index may look fresh that is not.
    func forget(inode: UInt64) {
        self.state.withLock { state in
            _ = state.take(inode)
            state.inFlux[inode]?.isSpoiled = true
        }
    }
}
