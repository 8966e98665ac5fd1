/// A search pattern, [MS-FSA] 2.1.4.4: `*` any run, `?` any one, and what Win32 makes of DOS's patterns: `<` (DOS_STAR) any run
/// up to the last dot, `>` (DOS_QM) any one but a dot, or nothing before a dot or at the end, `"` (DOS_DOT) a dot, or nothing
/// at the end.
package struct NamePattern: Sendable {
    private static let star = UInt16(UInt8(ascii: "*"))
    private static let question = UInt16(UInt8(ascii: "?"))
    private static let dosStar = UInt16(UInt8(ascii: "<"))
    private static let dosQuestion = UInt16(UInt8(ascii: ">"))
    private static let dosDot = UInt16(UInt8(ascii: "\""))
    private static let dot = UInt16(UInt8(ascii: "."))

    /// Folded.
    private let pattern: [UInt16]
    private let isCaseSensitive: Bool
    private let upcase = UpcaseTable()
    /// `*` or nothing.
    package let matchesAll: Bool
    package let hasWildcards: Bool

    package init(_ units: [UInt16], isCaseSensitive: Bool = false) {
        let table = UpcaseTable()
        self.pattern = isCaseSensitive ? units : units.map { table[$0] }
        self.isCaseSensitive = isCaseSensitive
        self.matchesAll = units.isEmpty || units == [Self.star]
        self.hasWildcards = units.contains {
            [Self.star, Self.question, Self.dosStar, Self.dosQuestion, Self.dosDot].contains($0)
        }
    }

    package init(_ text: String) { self.init(Array(text.utf16)) }

    package func matches(_ name: [UInt16]) -> Bool {
        if self.matchesAll { return true }
        // The set of pattern places that the name so far can have led to: time is bounded by length times length.
        var states = [Bool](repeating: false, count: self.pattern.count + 1)
        states[0] = true
        let lastDot = name.lastIndex(of: Self.dot)
        self.close(&states, atEnd: name.isEmpty, nextIsDot: name.first == Self.dot)
        for (index, unit) in name.enumerated() {
            let folded = self.isCaseSensitive ? unit : self.upcase[unit]
            var next = [Bool](repeating: false, count: states.count)
            for place in self.pattern.indices where states[place] {
                switch self.pattern[place] {
                case Self.star:
                    next[place] = true
                case Self.dosStar:
                    // Runs over everything before the last dot, and over all where there is none; it may take the dot itself
                    // only where another follows.
                    if unit != Self.dot || index != lastDot { next[place] = true }
                case Self.question:
                    next[place + 1] = true
                case Self.dosQuestion:
                    if unit != Self.dot { next[place + 1] = true }
                case Self.dosDot:
                    if unit == Self.dot { next[place + 1] = true }
                default:
                    if self.pattern[place] == folded { next[place + 1] = true }
                }
            }
            states = next
            let following = index + 1 < name.count ? name[index + 1] : nil
            self.close(&states, atEnd: following == nil, nextIsDot: following == Self.dot)
        }
        return states[self.pattern.count]
    }

    /// The places that can be reached without a character of the name.
    private func close(_ states: inout [Bool], atEnd: Bool, nextIsDot: Bool) {
        for place in self.pattern.indices where states[place] {
            switch self.pattern[place] {
            case Self.star, Self.dosStar: states[place + 1] = true
            case Self.dosQuestion where atEnd || nextIsDot: states[place + 1] = true
            case Self.dosDot where atEnd: states[place + 1] = true
            default: break
            }
        }
    }
}
