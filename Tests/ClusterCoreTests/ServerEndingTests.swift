import Testing

@testable import ClusterCore

@Suite struct ServerEndingTests {
    private let killed = ContinuousClock.now

    @Test func theNextServerWaitsUntilTheStorageIsGivenUp() {
        var ending = ServerEnding(at: self.killed, isGivenUp: false)
        #expect(ending.holdsBack)
        #expect(!ending.isGoneWithout(at: self.killed + .seconds(3600)))
        ending.giveUp(at: self.killed + .seconds(3600))
        #expect(!ending.holdsBack)
    }

    /// It was counted from the kill: a server that had held back the next one for longer was not waited for at all.
    @Test func theTimeIsCountedFromTheGivingUp() {
        var ending = ServerEnding(at: self.killed, isGivenUp: false)
        let givenUp = self.killed + .seconds(60)
        ending.giveUp(at: givenUp)
        #expect(!ending.isGoneWithout(at: givenUp + .seconds(1)))
        // Said again, it is no other.
        ending.giveUp(at: givenUp + .seconds(10))
        #expect(!ending.isGoneWithout(at: givenUp + ServerEnding.Limits.givenUpTime))
        #expect(ending.isGoneWithout(at: givenUp + ServerEnding.Limits.givenUpTime + .milliseconds(1)))
    }

    /// One that was silent when it was killed: from the kill, because the storage was given up before.
    @Test func oneThatWasSilentIsCountedFromItsKill() {
        let ending = ServerEnding(at: self.killed, isGivenUp: true)
        #expect(!ending.holdsBack)
        #expect(!ending.isGoneWithout(at: self.killed + ServerEnding.Limits.givenUpTime))
        #expect(ending.isGoneWithout(at: self.killed + ServerEnding.Limits.givenUpTime + .milliseconds(1)))
    }

    @Test func itIsNotedOnce() {
        var ending = ServerEnding(at: self.killed, isGivenUp: false)
        let late = self.killed + ServerEnding.Limits.noteTime + .milliseconds(1)
        let early = ending.takeNote(at: self.killed + ServerEnding.Limits.noteTime)
        let first = ending.takeNote(at: late)
        let second = ending.takeNote(at: late)
        #expect(!early && first && !second)
    }
}
