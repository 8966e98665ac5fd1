import FileStore
import SMB2Wire
import SMBAuth
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// CHANGE_NOTIFY from the kernel's inotify to the client, by way of the loop. Its descriptor's token once lay among those of
/// the listening sockets: the first change in a watched directory ended the server.
@Suite struct NotifyTests {
    @Test func aChangeReachesWhoWaitsForIt() throws {
        let server = try RunningServer()
        let connection = try server.connect()
        let root = try connection.create(
            OpenParameters("", access: .listDirectory, options: .directoryFile)
        ).fileID
        let waiting = try connection.post(.changeNotify) {
            ChangeNotifyRequest(fileID: root, filter: .fileName, watchesTree: false, outputBufferLength: 4096).encode(
                into: &$0)
        }
        try connection.waitUntilPending(waiting)
        let file = try connection.create(OpenParameters("new", access: .readData, disposition: .create)).fileID
        let reply = try connection.gather(waiting, deadline: Instant.now.adding(milliseconds: 10_000))
        #expect(reply.header.status == .success)
        let response = try OutputBufferResponse(parsing: reply.span)
        let events = try FileNotifyInformation.parseList(reply.span.extracting(response.buffer))
        #expect(events == [FileNotifyInformation(action: .added, name: "new")])
        try connection.close(file)
    }

    /// As after a takeover, when nothing is in memory yet and the clients ask for their trees again: whoever else asks the server
    /// is answered while it looks through one, and in the end the client is told to look for itself, once.
    @Test func aLargeTreeKeepsNobodyWaiting() throws {
        let (outer, inner) = (16, 900)
        let server = try XFSServer { share in
            for folder in 0..<outer {
                mkdir("\(share)/\(folder)", 0o755)
                for name in 0..<inner { mkdir("\(share)/\(folder)/\(name)", 0o755) }
            }
        }
        let client = try server.connect()
        let others = [client, try server.connect(), try server.connect()]
        let root = try client.create(
            OpenParameters("", access: .listDirectory, options: .directoryFile)
        ).fileID
        let files = try others.indices.map { try others[$0].open("other\($0)") }
        func watch() throws -> UInt64 {
            let id = try client.post(.changeNotify) {
                ChangeNotifyRequest(fileID: root, filter: .fileName, watchesTree: true, outputBufferLength: 4096)
                    .encode(into: &$0)
            }
            try client.flush()
            return id
        }
        let first = try watch()
        let clock = ContinuousClock()
        let begin = clock.now
        var longest = Duration.zero
        while !client.isAnswered(first), clock.now - begin < .seconds(60) {
            for (other, file) in zip(others, files) {
                let asked = clock.now
                #expect(try other.read(file, at: 0, count: 1).isEmpty)
                longest = max(longest, clock.now - asked)
            }
            usleep(1000)
            // So much for a server that has looked through all of it at once: it has nothing to tell.
            if longest > .milliseconds(500) { break }
        }
        print("\(outer * inner) directories: \(clock.now - begin), the longest answer \(longest)")
        try #require(longest < .milliseconds(300))
        #expect(try client.gather(first).header.status == .notifyEnumDir)
        let second = try watch()
        try client.waitUntilPending(second)
        _ = try others[1].open("\(outer - 1)\\\(inner - 1)\\new", .create)
        let reply = try client.gather(second, deadline: Instant.now.adding(milliseconds: 10_000))
        #expect(reply.header.status == .success)
        let response = try OutputBufferResponse(parsing: reply.span)
        let events = try FileNotifyInformation.parseList(reply.span.extracting(response.buffer))
        #expect(events == [FileNotifyInformation(action: .added, name: "\(outer - 1)\\\(inner - 1)\\new")])
    }
}
