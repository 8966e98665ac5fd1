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
}
