import Fencing
import Testing

@testable import ClusterPlatform

@Suite struct QuorumLUNFactsTests {
    private static let whole = QuorumLUNFacts(
        content: .quorumDisk, byteCount: 256 << 20, neededByteCount: 209 << 20, reservation: nil, flushes: true,
        answer: .milliseconds(3))

    private func grade(_ change: (inout QuorumLUNFacts) -> Void) -> TargetFacts.Grade? {
        var facts = Self.whole
        change(&facts)
        return facts.findings.map(\.grade).max()
    }

    @Test func whatKeepsNodesFromVoting() {
        #expect(self.grade { _ in } == .good)
        #expect(self.grade { $0.content = .noQuorumDisk } == .unusable)
        #expect(self.grade { $0.content = .anotherQuorumDisk } == .unusable)
        #expect(self.grade { $0.byteCount = 128 << 20 } == .unusable)
        #expect(self.grade { $0.reservation = Reservation(key: 7, type: 5) } == .unusable)
        #expect(self.grade { $0.flushes = false } == .unusable)
        #expect(self.grade { $0.answer = .milliseconds(1200) } == .note)
    }
}

@Suite struct TargetFactsTests {
    /// A target with everything.
    private static var whole: TargetFacts {
        var facts = TargetFacts()
        facts.hasReservations = true
        facts.persistsReservations = true
        facts.reserves = true
        facts.refusesWrites = true
        facts.preempts = true
        facts.preemptsAndAborts = true
        facts.resetsLogicalUnit = true
        facts.refusesPreempted = true
        facts.keepsRegistrationAtLogin = true
        facts.activatesPersistence = true
        facts.tellsNexuses = true
        facts.flushes = true
        return facts
    }

    @Test func aTargetWithEverythingIsGood() {
        #expect(Self.whole.grade == .good)
        #expect(Self.whole.findings.count == 8)
    }

    enum Missing: CaseIterable {
        case reserving, refusingWrites, refusingThePreempted, flushing, keepingRegistrations, aborting, telling,
            persisting

        func take(from facts: inout TargetFacts) -> TargetFacts.Grade {
            switch self {
            case .reserving: facts.reserves = false
            case .refusingWrites: facts.refusesWrites = false
            case .refusingThePreempted: facts.refusesPreempted = false
            case .flushing: facts.flushes = false
            case .keepingRegistrations:
                facts.keepsRegistrationAtLogin = false
                return .note
            case .aborting:
                facts.preemptsAndAborts = false
                return .note
            case .telling:
                facts.tellsNexuses = false
                return .note
            case .persisting:
                facts.activatesPersistence = false
                return .unsafe
            }
            return .unusable
        }
    }

    @Test(arguments: Missing.allCases)
    func eachThingThatIsMissingCounts(_ missing: Missing) {
        var facts = Self.whole
        let grade = missing.take(from: &facts)
        #expect(facts.grade == grade)
    }

    @Test func withoutAbortAndResetWritesInFlightWouldLand() {
        var facts = Self.whole
        facts.preemptsAndAborts = false
        facts.resetsLogicalUnit = false
        #expect(facts.grade == .unusable)
        facts.resetsLogicalUnit = true
        facts.preempts = false
        #expect(facts.grade == .unusable)
    }

    @Test func aTargetWithoutReservationsIsUnusable() {
        #expect(TargetFacts().grade == .unusable)
    }

    /// Debian's tgt, as facts/storage.md measured it.
    @Test func whatForgetsOrLeaksIsUnsafe() {
        var forgetful = Self.whole
        forgetful.persistsReservations = false
        #expect(forgetful.grade == .unsafe)
        var leaking = Self.whole
        leaking.leaks = ["WRITE SAME", "ORWRITE"]
        #expect(leaking.grade == .unsafe)
        #expect(leaking.findings.contains { $0.text.contains("WRITE SAME, ORWRITE") })
    }

    @Test func aLUNInUseIsJudgedByWhatItAnswers() {
        var facts = TargetFacts()
        facts.hasReservations = true
        facts.persistsReservations = true
        facts.user = "a Holdfast cluster (node 1, term 7)"
        #expect(facts.grade == .note)
    }

    @Test func capabilities() {
        // SPC-4 6.15.4: LENGTH 8, PTPL_C in byte 2, PTPL_A in byte 3.
        #expect(ISCSISession.parseCapabilities([0, 8, 0x01, 0x81, 0xEA, 0x01, 0, 0])?.persists == true)
        #expect(ISCSISession.parseCapabilities([0, 8, 0x01, 0x81, 0xEA, 0x01, 0, 0])?.isActive == true)
        #expect(ISCSISession.parseCapabilities([0, 8, 0x10, 0x80, 0xEA, 0x01, 0, 0])?.persists == false)
        #expect(ISCSISession.parseCapabilities([0, 8, 0x01]) == nil)
        #expect(ISCSISession.parseCapabilities([0, 9, 1, 1, 0, 0, 0, 0]) == nil)
    }

    @Test func scratchKeysAreNoNodes() {
        #expect(TargetCheck.isScratch(TargetCheck.fenced.raw) && TargetCheck.isScratch(TargetCheck.fencing.raw))
        #expect(!TargetCheck.isScratch(FenceKey(node: 1, term: 0).raw))
    }
}
