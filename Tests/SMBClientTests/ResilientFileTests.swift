import SMB2Wire
import SMBAuth
import SMBCrypto
import Synchronization
import Testing

@testable import SMBClient

/// A server that dies in the middle of a WRITE, and what its successor then sees.
@Suite struct ResilientFileTests {
    struct Seen: Sendable {
        var connection: Int
        var command: SMB2Command
        var channelSequence: UInt16
        var isReplay: Bool
        var previousSessionID: UInt64
        var sessionID: UInt64
        var contexts = CreateContexts()
        var data: [UInt8] = []
        var fileID: FileID?
        var lockSequence: UInt8 = 0
    }

    static func note(_ connection: Int, _ header: SMB2Header, _ message: [UInt8], _ handshake: FakeServer.Handshake)
        -> Seen
    {
        var seen = Seen(
            connection: connection, command: header.command ?? .echo, channelSequence: header.channelSequence,
            isReplay: header.isReplay, previousSessionID: handshake.previousSessionID, sessionID: handshake.sessionID)
        let span = message.span.bytes
        switch header.command {
        case .create: seen.contexts = (try? CreateRequest(parsing: span))?.contexts ?? CreateContexts()
        case .write:
            if let request = try? WriteRequest(parsing: span) {
                seen.data = span.bytes(in: request.data)
                seen.fileID = request.fileID
            }
        case .lock: seen.lockSequence = (try? LockRequest(parsing: span))?.sequenceNumber ?? 0
        default: break
        }
        return seen
    }

    static func opened(_ header: SMB2Header, volatile: UInt64, isPersistent: Bool) -> FakeServer.Answer {
        var response = CreateResponse(
            oplockLevel: .none, action: .opened,
            information: NetworkOpenInformation(
                creationTime: .zero, lastAccessTime: .zero, lastWriteTime: .zero, changeTime: .zero, allocationSize: 0,
                endOfFile: 0, attributes: .normal), fileID: FileID(persistent: 0xAAAA, volatile: volatile))
        if isPersistent {
            response.contexts.durableV2 = DurableResponseV2(timeoutMilliseconds: 1000, flags: 2)
        }
        return FakeServer.Answer(to: header) { [response] in response.encode(into: &$0) }
    }

    @Test func aWriteThatWasNotAnswered() throws {
        let seen = Mutex<[Seen]>([])
        let server = FakeServer { connection, header, message, handshake in
            let entry = Self.note(connection, header, message, handshake)
            seen.withLock { $0.append(entry) }
            switch (connection, header.command) {
            case (0, .create): return [Self.opened(header, volatile: 1, isPersistent: true)]
            case (0, .write) where entry.data == [2]: return nil  // dies with the write unanswered
            case (1, .create): return [FakeServer.Answer(to: header, .fileNotAvailable)]  // not yet
            case (2, .create): return [Self.opened(header, volatile: 2, isPersistent: false)]
            default:
                let count = UInt32(entry.data.count)
                return [FakeServer.Answer(to: header) { WriteResponse(count: count).encode(into: &$0) }]
            }
        }
        defer { server.stop() }
        let events = Mutex<[String]>([])
        let file = try ResilientFile(
            server.configuration(), share: "test",
            OpenParameters("a", access: .genericWrite, share: .read, disposition: .openIf)
        ) { event in
            events.withLock { list in
                switch event {
                case .lost: list.append("lost")
                case .reclaimed(_, let attempts): list.append("reclaimed after \(attempts)")
                }
            }
        }
        #expect(file.isPersistent)
        try file.write(at: 0, [1])
        try file.write(at: 1, [2])
        try file.write(at: 2, [3])
        #expect(events.withLock { $0 } == ["lost", "reclaimed after 2"] && file.reclaims == 1)
        #expect(server.problems.withLock { $0 } == [])

        let all = seen.withLock { $0 }
        #expect(all.map(\.command) == [.create, .write, .write, .create, .create, .write, .write])
        let request = try #require(all[0].contexts.durableRequestV2)
        #expect(request.isPersistent && all[0].contexts.durableReconnectV2 == nil)
        for reclaim in [all[3], all[4]] {
            let context = try #require(reclaim.contexts.durableReconnectV2)
            #expect(context.isPersistent && context.createGUID == request.createGUID)
            #expect(context.fileID == FileID(persistent: 0xAAAA, volatile: 1))
            #expect(reclaim.contexts.durableRequestV2 == nil)
            #expect(reclaim.previousSessionID == all[0].sessionID && reclaim.channelSequence == 1)
        }
        // The unanswered write again, marked as such; the one after it is nothing special.
        #expect(all[5].isReplay && all[5].data == [2] && all[5].channelSequence == 1)
        #expect(!all[6].isReplay && all[6].data == [3])
        #expect(all[6].fileID == FileID(persistent: 0xAAAA, volatile: 2))
    }

    @Test func aRepeatedLockKeepsItsNumber() throws {
        let seen = Mutex<[Seen]>([])
        let server = FakeServer { connection, header, message, handshake in
            let entry = Self.note(connection, header, message, handshake)
            seen.withLock { $0.append(entry) }
            if header.command == .create { return [Self.opened(header, volatile: 1, isPersistent: true)] }
            if connection == 0, entry.lockSequence == 2 { return nil }
            return [FakeServer.Answer(to: header)]
        }
        defer { server.stop() }
        let file = try ResilientFile(server.configuration(), share: "test", OpenParameters("a"))
        for offset in 0..<3 {
            try file.lock(LockElement(offset: UInt64(offset), length: 1, flags: [.exclusive, .failImmediately]))
        }
        let locks = seen.withLock { $0 }.filter { $0.command == .lock }
        #expect(locks.map(\.lockSequence) == [1, 2, 2, 3] && locks.map(\.isReplay) == [false, false, true, false])
    }

    /// The handle is gone for good: that is an error at once, not a reason to go on trying.
    @Test func aLostHandle() throws {
        let server = FakeServer { connection, header, _, _ in
            switch (connection, header.command) {
            case (0, .create): [Self.opened(header, volatile: 1, isPersistent: true)]
            case (0, _): nil
            default: [FakeServer.Answer(to: header, .objectNameNotFound)]
            }
        }
        defer { server.stop() }
        let file = try ResilientFile(server.configuration(), share: "test", OpenParameters("a"))
        let error = #expect(throws: ClientError.self) { try file.write(at: 0, [1]) }
        #expect(error?.status == .objectNameNotFound)
    }
}
