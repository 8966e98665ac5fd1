/// What was found out about a target by asking and trying, and what it means for fencing. `TargetCheck` finds out.
///
/// Nil: not tried, because the LUN is in use.
package struct TargetFacts: Equatable, Sendable {
    package var product = ""
    package var blockSize: UInt32 = 0
    package var byteCount: UInt64 = 0
    package var isThin = false
    /// Whoever has a key on the LUN: it is not tried then.
    package var user: String?

    /// PERSISTENT RESERVE IN is answered at all.
    package var hasReservations = false
    /// PTPL_C of REPORT CAPABILITIES: reservations outlive a power loss of the target.
    package var persistsReservations = false
    /// A registration with APTPL was taken, and REPORT CAPABILITIES says that it is in force (PTPL_A).
    package var activatesPersistence: Bool?
    /// READ FULL STATUS, and in it whoever registered.
    package var tellsNexuses: Bool?
    /// RESERVE of type 5, Write Exclusive Registrants Only.
    package var reserves: Bool?
    /// WRITE (16) of an initiator without a registration: RESERVATION CONFLICT.
    package var refusesWrites: Bool?
    /// Other commands that change data and got past the reservation.
    package var leaks: [String] = []
    package var preempts: Bool?
    package var preemptsAndAborts: Bool?
    package var resetsLogicalUnit: Bool?
    /// A write of the one whose key was preempted.
    package var refusesPreempted: Bool?
    /// A login with the same initiator name and ISID finds its registration again.
    package var keepsRegistrationAtLogin: Bool?
    package var flushes: Bool?

    package enum Grade: UInt8, Comparable, Sendable {
        case good = 0
        /// Holdfast has a way around it.
        case note = 1
        /// Where it matters, a fenced node may write.
        case unsafe = 2
        /// Nothing can be fenced on this target.
        case unusable = 3

        package static func < (left: Grade, right: Grade) -> Bool { left.rawValue < right.rawValue }
    }

    package struct Finding: Equatable, Sendable {
        package var grade: Grade
        package var text: String

        package init(_ grade: Grade, _ text: String) {
            self.grade = grade
            self.text = text
        }
    }

    package init() {}

    /// The worst of its findings.
    package var grade: Grade { self.findings.map(\.grade).max() ?? .good }

    package var findings: [Finding] {
        guard self.hasReservations else {
            return [
                Finding(
                    .unusable, "no persistent reservations: nothing keeps a node that lost the LUN from writing to it")
            ]
        }
        var findings: [Finding] = [self.persistence]
        if let user = self.user {
            findings.append(
                Finding(.note, "in use by \(user): what would need keys of our own on the LUN was not tried"))
            return findings
        }
        findings += [
            self.reserving, self.refusing, self.leaking, self.preempting, self.returning, self.telling, self.flushing,
        ]
        .compactMap { $0 }
        return findings
    }

    private var persistence: Finding {
        if self.persistsReservations, self.activatesPersistence == false {
            return Finding(
                .unsafe,
                "says that reservations can outlive a power loss of the target, and does not keep those of a test")
        }
        return self.persistsReservations
            ? Finding(.good, "reservations outlive a power loss of the target")
            : Finding(
                .unsafe,
                "reservations do not outlive a restart of the target: from then until the active node has reserved the LUN "
                    + "again, a node that was fenced before can write")
    }

    private var reserving: Finding? {
        guard let reserves = self.reserves else { return nil }
        return reserves
            ? Finding(.good, "reserves for registrants (type 5)")
            : Finding(.unusable, "does not know reservations of type 5 (Write Exclusive, Registrants Only)")
    }

    private var refusing: Finding? {
        guard let refuses = self.refusesWrites, let preempted = self.refusesPreempted else { return nil }
        guard refuses else { return Finding(.unusable, "lets initiators write that have no registration") }
        return preempted
            ? Finding(.good, "refuses writes of initiators without a registration, and of those that lost it")
            : Finding(.unusable, "lets a node write whose registration was preempted")
    }

    private var leaking: Finding? {
        guard self.refusesWrites == true else { return nil }
        return self.leaks.isEmpty
            ? Finding(.good, "refuses every other command that changes data, too")
            : Finding(
                .unsafe,
                "lets \(self.leaks.joined(separator: ", ")) past the reservation; Holdfast itself does not use them on this "
                    + "target, other initiators may")
    }

    private var preempting: Finding? {
        guard let preempts = self.preempts, let aborts = self.preemptsAndAborts, let resets = self.resetsLogicalUnit
        else { return nil }
        if aborts { return Finding(.good, "preempts, and aborts what the preempted one has in flight") }
        guard preempts else {
            return Finding(.unusable, "does not preempt: the LUN cannot be taken from a node that is gone")
        }
        return resets
            ? Finding(
                .note,
                "has no PREEMPT AND ABORT: Holdfast preempts and resets the logical unit, which drains writes, too")
            : Finding(
                .unusable,
                "has neither PREEMPT AND ABORT nor LOGICAL UNIT RESET: writes in flight of a fenced node may land after it"
            )
    }

    private var returning: Finding? {
        guard let keeps = self.keepsRegistrationAtLogin else { return nil }
        return keeps
            ? Finding(.good, "a new login finds its registration again")
            : Finding(
                .note, "a new login loses its registration: Holdfast looks who holds the LUN, then registers again")
    }

    private var telling: Finding? {
        guard let tells = self.tellsNexuses else { return nil }
        return tells
            ? Finding(.good, "tells which nexus registered which key (READ FULL STATUS)")
            : Finding(.note, "does not tell which nexus registered which key; Holdfast goes by the keys alone")
    }

    private var flushing: Finding? {
        guard let flushes = self.flushes else { return nil }
        return flushes
            ? Finding(.good, "writes its cache out when told to")
            : Finding(.unusable, "refuses SYNCHRONIZE CACHE: what was acknowledged may be lost with the target's power")
    }
}
