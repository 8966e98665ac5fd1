import StateRecords
import Testing

@testable import ClusterCore

@Suite struct ServerLoadTests {
    private static func opens(_ count: Int) -> [OpenRecord] {
        (0..<count).map {
            OpenRecord(
                persistentID: UInt64($0), createGUID: .zero, clientGUID: .zero, ownerSID: "S-1-5-21-1",
                userName: "alice", share: "test", path: "\($0)",
                file: FileIdentity(fileSystem: .zero, handleType: 1, handle: [1]), grantedAccess: 1, shareAccess: 1,
                createOptions: 0, createDisposition: 1, createAction: 1, fileAttributes: 0,
                timeoutMilliseconds: 60_000, isPersistent: true)
        }
    }

    /// A server that reads slowly: no more than a window waits for it, and all of it comes, in its order.
    @Test func noMoreThanAWindowWaits() {
        let opens = Self.opens(2000)
        let window = 100_000
        var load = ServerLoad(opens, windowByteCount: window)
        var waiting: [ClusterToServer] = []
        var read: [OpenRecord] = []
        var most = 0
        while !load.isDone || !waiting.isEmpty {
            while let next = load.take(waitingByteCount: waiting.reduce(0) { $0 + $1.encoded.count }) {
                waiting.append(.load(opens: next))
            }
            most = max(most, waiting.reduce(0) { $0 + $1.encoded.count })
            if case .load(let opens) = waiting.removeFirst() { read += opens }
        }
        #expect(read == opens)
        let longest = ClusterToServer.load(opens: Array(opens.suffix(ServerLoad.Limits.opensPerMessage))).encoded.count
        #expect(most < window + longest && most > window / 2)
        #expect(load.take(waitingByteCount: 0) == nil)
    }

    @Test func nothingToLoadIsLoaded() {
        var load = ServerLoad([])
        #expect(load.isDone)
        #expect(load.take(waitingByteCount: 0) == nil)
        #expect(load.time == ServerLoad.Limits.time)
    }

    /// Measured: 65 us a handle. A million of them is no server that hangs.
    @Test func theTimeGrowsWithTheNumber() {
        #expect(ServerLoad(Self.opens(1000)).time == .milliseconds(20_500))
        #expect(ServerLoad.Limits.timePerOpen >= .microseconds(65) * 3)
    }
}
