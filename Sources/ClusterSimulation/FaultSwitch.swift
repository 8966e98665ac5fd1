/// One kind of fault by its name: what `clustersim --without` and `minimized` switch off.
package struct FaultSwitch<Faults>: Sendable {
    package let name: String
    let off: @Sendable (inout Faults) -> Void

    init(_ name: String, _ off: @escaping @Sendable (inout Faults) -> Void) {
        self.name = name
        self.off = off
    }
}

package protocol SwitchableFaults: Sendable {
    static var switches: [FaultSwitch<Self>] { get }
}

extension SwitchableFaults {
    /// Names that are no fault's mean nothing: `clustersim` refuses them.
    package mutating func switchOff(_ names: Set<String>) {
        for fault in Self.switches where names.contains(fault.name) { fault.off(&self) }
    }
}

/// The kinds of fault that a violation does not need: taken away one after another for as long as the run still fails in the
/// same way. Without one kind the dice fall differently from there on, so this finds a smaller run, not the smallest.
///
/// - Parameters:
///   - names: of all kinds.
///   - run: the violation of the run without these, nil where there is none.
/// - Returns: nil where the run fails with nothing switched off in no way at all.
package func minimized(
    _ names: [String], already without: Set<String> = [], run: (Set<String>) -> String?
) -> (without: Set<String>, violation: String)? {
    guard var violation = run(without) else { return nil }
    let kind = violation.prefix { $0 != ":" }
    var without = without
    var isSmaller = true
    while isSmaller {
        isSmaller = false
        for name in names where !without.contains(name) {
            guard let still = run(without.union([name])), still.prefix(while: { $0 != ":" }) == kind else { continue }
            without.insert(name)
            violation = still
            isSmaller = true
        }
    }
    return (without, violation)
}
