import Testing

@testable import ClusterPlatform

@Suite struct SilenceWatchTests {
    private let start = ContinuousClock.now

    private func after(_ seconds: Int) -> ContinuousClock.Instant { self.start + .seconds(seconds) }

    private func watch() -> SilenceWatch {
        SilenceWatch(commands: 3, silenceLimit: .seconds(4), ageLimit: .seconds(30), at: self.start)
    }

    /// Found by a reader: after an outage of more than the age limit each new session was given up in the turn in which
    /// it began, because what it issued again was older than that.
    @Test func whatIsIssuedAgainAfterALongOutageIsAsYoungAsANewCommand() {
        var watch = self.watch()
        watch.issued(0, at: self.start)
        #expect(watch.verdict(at: self.after(5)) == .isSilent)
        watch.ended(0)
        #expect(watch.verdict(at: self.after(60)) == .answers)
        watch.heard(at: self.after(100))
        watch.issued(0, at: self.after(100))
        #expect(watch.verdict(at: self.after(100)) == .answers)
        #expect(watch.verdict(at: self.after(104)) == .answers)
        #expect(watch.verdict(at: self.after(105)) == .isSilent)
    }

    @Test func aTargetThatKeepsOneCommandAndAnswersOthersIsGivenUpInTheEnd() {
        var watch = self.watch()
        watch.issued(0, at: self.start)
        for second in 1...30 {
            watch.issued(1, at: self.after(second))
            watch.heard(at: self.after(second))
            watch.ended(1)
            #expect(watch.verdict(at: self.after(second)) == .answers)
        }
        #expect(watch.verdict(at: self.after(31)) == .keepsOne)
    }

    /// The heartbeat is a command like the others: where it is kept, nobody looks at the reservation any more.
    @Test func theHeartbeatCountsToo() {
        var watch = self.watch()
        watch.issued(2, at: self.start)
        watch.heard(at: self.after(31))
        #expect(watch.verdict(at: self.after(31)) == .keepsOne)
    }

    @Test func whoIsAskedNothingIsNotSilent() {
        var watch = self.watch()
        #expect(watch.verdict(at: self.after(1000)) == .answers)
        // What is asked after a long rest has its time from then on.
        watch.issued(1, at: self.after(1000))
        #expect(watch.verdict(at: self.after(1004)) == .answers)
        #expect(watch.verdict(at: self.after(1005)) == .isSilent)
    }
}
