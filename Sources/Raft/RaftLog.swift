/// The log since the last compaction, in memory, with every configuration in it.
struct RaftLog: Equatable, Sendable {
    /// The position before the first entry.
    private(set) var base: Snapshot
    private(set) var entries: [Entry]
    /// The configurations that entries of the window bring, ascending.
    private var configurations: [(index: LogIndex, configuration: Configuration)] = []

    init(base: Snapshot, entries: [Entry]) {
        self.base = base
        self.entries = []
        self.append(entries)
    }

    static func == (a: Self, b: Self) -> Bool { a.base == b.base && a.entries == b.entries }

    var firstIndex: LogIndex { self.base.index + 1 }
    var lastIndex: LogIndex { self.base.index + LogIndex(self.entries.count) }
    var lastTerm: Term { self.entries.last?.term ?? self.base.term }

    /// The configuration in force: the last one appended (Raft's dissertation §4.1), committed or not.
    var configuration: Configuration { self.configurations.last?.configuration ?? self.base.configuration }
    var configurationIndex: LogIndex { self.configurations.last?.index ?? self.base.index }

    func configuration(at index: LogIndex) -> Configuration {
        self.configurations.last { $0.index <= index }?.configuration ?? self.base.configuration
    }

    /// nil where the log does not reach, on either side.
    func term(at index: LogIndex) -> Term? {
        if index == self.base.index { return self.base.term }
        return self.entry(at: index)?.term
    }

    func entry(at index: LogIndex) -> Entry? {
        guard index > self.base.index, index <= self.lastIndex else { return nil }
        return self.entries[Int(index - self.base.index - 1)]
    }

    /// Entries from `index` on, as many as fit; always one where there is one.
    func entries(from index: LogIndex, through last: LogIndex, maximumCount: Int, maximumByteCount: Int)
        -> ArraySlice<Entry>
    {
        let last = min(last, self.lastIndex)
        guard index > self.base.index, index <= last, maximumCount > 0 else { return [] }
        let start = Int(index - self.base.index - 1)
        let limit = start + min(Int(last - index) + 1, maximumCount)
        var end = start
        var byteCount = 0
        while end < limit {
            byteCount += self.entries[end].byteCount
            if byteCount > maximumByteCount, end > start { break }
            end += 1
        }
        return self.entries[start..<end]
    }

    /// The rule of Raft §5.4.1.
    func isUpToDate(lastIndex: LogIndex, lastTerm: Term) -> Bool {
        lastTerm > self.lastTerm || (lastTerm == self.lastTerm && lastIndex >= self.lastIndex)
    }

    /// The last position at or before `index` whose term is at most `term`: where two logs may still agree.
    func lastPosition(atOrBefore index: LogIndex, termAtMost term: Term) -> (index: LogIndex, term: Term) {
        var position = min(index, self.lastIndex)
        while position > self.base.index, let there = self.term(at: position), there > term { position -= 1 }
        return (position, self.term(at: position) ?? 0)
    }

    mutating func append(_ new: some Sequence<Entry>) {
        for entry in new {
            precondition(entry.index == self.lastIndex + 1, "the log has no gaps")
            if case .configuration(let configuration) = entry.payload {
                self.configurations.append((entry.index, configuration))
            }
            self.entries.append(entry)
        }
    }

    mutating func truncate(from index: LogIndex, keepConfiguration: Bool = false) {
        guard index <= self.lastIndex, index > self.base.index else { return }
        self.entries.removeLast(Int(self.lastIndex - index) + 1)
        if !keepConfiguration { self.configurations.removeAll { $0.index >= index } }
    }

    mutating func compact(through index: LogIndex) {
        guard index > self.base.index, let term = self.term(at: index) else { return }
        let configuration = self.configuration(at: index)
        self.entries.removeFirst(Int(index - self.base.index))
        self.configurations.removeAll { $0.index <= index }
        self.base = Snapshot(index: index, term: term, configuration: configuration)
    }

    mutating func restore(_ snapshot: Snapshot) {
        self.base = snapshot
        self.entries = []
        self.configurations = []
    }
}
