import Testing

@testable import ClusterCore

@Suite struct WatchdogRuleTests {
    private func feeds(turned: UInt64, givingUp: UInt64? = nil) -> Bool {
        let now: UInt64 = 100_000
        return WatchdogRule.feeds(now: now, lastTurn: now - turned, givingUpSince: givingUp.map { now - $0 })
    }

    @Test func aNodeThatTurnsIsFed() {
        #expect(self.feeds(turned: 0))
        #expect(self.feeds(turned: 5000))
        #expect(self.feeds(turned: 100, givingUp: 5000))
    }

    @Test func aLoopThatStandsStillStarves() { #expect(!self.feeds(turned: 5001)) }

    /// The loop turns, the kernel does not let go of the file system.
    @Test func aTeardownThatHangsStarves() { #expect(!self.feeds(turned: 0, givingUp: 5001)) }

    /// The thread reads its clock before the marks.
    @Test func aMarkOfLaterThanTheClockIsNoHang() {
        #expect(WatchdogRule.feeds(now: 5, lastTurn: 7, givingUpSince: 8))
    }

    /// With the device's own time it is the 15 s at which a machine is reset; its peer serves long before.
    @Test func theDeviceLeavesTimeForSeveralMisses() {
        #expect(UInt64(WatchdogRule.deviceSeconds) * 1000 >= 10 * WatchdogRule.intervalMilliseconds)
    }
}
