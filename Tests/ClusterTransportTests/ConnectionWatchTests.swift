import NIOCore
import NIOEmbedded
import Testing

@testable import ClusterTransport

@Suite struct AcknowledgementWatchTests {
    /// Looks each 250 ms; says after how many milliseconds the data counts as lost, or nil.
    private func lost(
        within milliseconds: Int64, unacknowledged: (Int64) -> UInt32, lastAcknowledged: (Int64) -> Int64
    ) -> Int64? {
        var watch = AcknowledgementWatch()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        for now in stride(from: Int64(0), through: milliseconds, by: 250) {
            let silence = TimeAmount.milliseconds(now - lastAcknowledged(now))
            if watch.isLost(unacknowledged: unacknowledged(now), silence: silence, now: start + .milliseconds(now)) {
                return now
            }
        }
        return nil
    }

    @Test func aRestIsNoSilence() {
        #expect(self.lost(within: 60_000, unacknowledged: { _ in 0 }, lastAcknowledged: { _ in 0 }) == nil)
    }

    @Test func whatIsNotAcknowledgedForThreeSecondsIsLost() {
        #expect(self.lost(within: 60_000, unacknowledged: { _ in 3 }, lastAcknowledged: { _ in 0 }) == 3000)
    }

    /// Something is always on its way, and some of it arrives.
    @Test func aBusyConnectionIsNotLost() {
        #expect(self.lost(within: 60_000, unacknowledged: { _ in 50 }, lastAcknowledged: { $0 - 700 }) == nil)
    }

    /// The last acknowledgement is of long ago when something is sent at last.
    @Test func whatIsSentAfterALongRestHasItsTime() {
        #expect(
            self.lost(within: 60_000, unacknowledged: { $0 < 30_000 ? 0 : 1 }, lastAcknowledged: { _ in -9000 })
                == 33_000)
    }

    /// This process stood still for ten seconds; meanwhile everything was acknowledged, and now something new is on its way.
    @Test func aStandstillOfOurOwnIsNoSilence() {
        var watch = AcknowledgementWatch()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        let looks = [(0, 10), (10_000, 9900), (10_250, 10_150)].map { (time: Int64, silence: Int64) in
            watch.isLost(
                unacknowledged: 1, silence: .milliseconds(silence), now: start + .milliseconds(time))
        }
        #expect(looks == [false, false, false])
    }

    @Test func aConnectionThatFallsSilentInTheMiddleIsLost() {
        #expect(
            self.lost(within: 60_000, unacknowledged: { _ in 2 }, lastAcknowledged: { min($0, 10_000) }) == 13_000)
    }
}

@Suite struct SilenceWatchTests {
    private func channel(isNode: Bool) throws -> (EmbeddedChannel, SilenceWatch) {
        let watch = SilenceWatch()
        let channel = EmbeddedChannel(handler: watch)
        try channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        if isNode { watch.isNode() }
        return (channel, watch)
    }

    @Test func aNodeThatIsNotHeardIsCutOff() throws {
        let (channel, _) = try self.channel(isNode: true)
        for _ in 0..<10 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(15))
            try channel.writeInbound(ByteBuffer(string: "x"))
        }
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: TransportLimits.silentNode)
        #expect(!channel.isActive)
    }

    /// `clusterctl move` and others wait for minutes.
    @Test func whoAskedSomethingMayWaitForTheAnswer() throws {
        let (channel, _) = try self.channel(isNode: false)
        channel.embeddedEventLoop.advanceTime(by: .seconds(190))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        #expect(!channel.isActive)
    }

    /// Else a node that has nothing to say would be cut off.
    @Test func signsOfLifeComeOftenEnough() {
        #expect(TransportLimits.signOfLife.nanoseconds * 3 <= TransportLimits.silentNode.nanoseconds)
    }
}
