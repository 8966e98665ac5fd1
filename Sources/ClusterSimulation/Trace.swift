/// What happened, folded into a hash; with `isVerbose`, as lines too. Two runs of a seed have the same hash.
package struct Trace: Sendable {
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var eventCount = 0
    package private(set) var lines: [String] = []
    let isVerbose: Bool
    /// The last lines are what explains a violation; older ones are dropped.
    static let maximumLines = 200_000

    init(isVerbose: Bool) { self.isVerbose = isVerbose }

    mutating func note(
        _ time: UInt64, _ kind: StaticString, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0,
        _ text: @autoclosure () -> String = ""
    ) {
        self.eventCount += 1
        self.fold(time)
        self.fold(UInt64(kind.utf8CodeUnitCount) << 8 | UInt64(kind.utf8Start[0]))
        self.fold(a)
        self.fold(b)
        self.fold(c)
        guard self.isVerbose else { return }
        if self.lines.count >= Self.maximumLines { self.lines.removeFirst(Self.maximumLines / 2) }
        let microseconds = String(time % 1_000_000)
        let padding = String(repeating: "0", count: 6 - microseconds.utf8.count)
        self.lines.append("\(time / 1_000_000).\(padding)\(microseconds) \(kind) \(a) \(b) \(c) \(text())")
    }

    private mutating func fold(_ value: UInt64) {
        self.hash = (self.hash ^ value) &* 0x0000_0100_0000_01B3
        self.hash ^= self.hash >> 29
    }
}
