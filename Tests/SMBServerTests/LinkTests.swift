import SMB2Wire
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Links of both kinds, streams and deletions, as a client meets them.
@Suite struct LinkTests {
    /// The error data of a CREATE that met a symbolic link.
    private func stop(_ client: SMBConnection, _ path: String) throws -> SymlinkErrorData? {
        let id = try client.postCreate(OpenParameters(path))
        let reply = try client.gather(id, .create, accepting: [.stoppedOnSymlink])
        guard reply.header.status == .stoppedOnSymlink else { return nil }
        let response = try ErrorResponse(parsing: reply.span)
        var data: [UInt8] = []
        switch response.data {
        case .none: break
        case .bare(let bytes): data = bytes
        case .contexts(let contexts): data = contexts[0].data
        }
        let span = data.span.bytes
        return try SymlinkErrorData(parsing: span)
    }

    @Test func aSymbolicLinkIsTheClients() throws {
        let server = try XFSServer(isContinuouslyAvailable: true)
        let client = try server.connect()
        try client.close(try client.open("target"))
        let link = try client.open("dir link", .create, options: [.directoryFile, .openReparsePoint])
        let data = ReparseData(.init(substituteName: "..\\x", printName: "x", isRelative: true))
        _ = try client.ioctl(.setReparsePoint, link, input: data.bytes, limit: 0)
        #expect(try client.ioctl(.getReparsePoint, link) == data.bytes)
        let stop = try #require(try self.stop(client, "dir link\\a\\b"))
        #expect(stop.substituteName == "..\\x")
        #expect(stop.isRelative)
        #expect(stop.unparsedPathLength == UInt16("\\a\\b".utf16.count * 2))
        // What Linux made leads the client on, too, and never the server.
        #expect(symlink("/etc", "\(server.share)/etc") == 0)
        #expect(try self.stop(client, "etc\\passwd")?.substituteName == "\\etc")
        #expect(try self.stop(client, "target") == nil)

        let delete = Array(data.bytes[..<4]) + [0, 0, 0, 0]
        _ = try client.ioctl(.deleteReparsePoint, link, input: delete, limit: 0)
        #expect(status { _ = try client.ioctl(.getReparsePoint, link) } == .notAReparsePoint)
        #expect(status { _ = try client.ioctl(.setReparsePoint, link, input: [1, 2]) } == .ioReparseDataInvalid)
        #expect(
            status { _ = try client.ioctl(.setReparsePoint, link, input: [1, 0, 0, 0x80, 9, 0, 0, 0]) }
                == .ioReparseDataInvalid)
    }

    /// FileDispositionInformationEx with FILE_DISPOSITION_POSIX_SEMANTICS: the name is free at once.
    @Test func aPOSIXDeletionTakesTheNameFromWhoeverHasItOpen() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let (first, other) = (try client.open("file"), try client.open("file"))
        try client.write(other, at: 0, [1, 2, 3])
        func dispose(_ file: FileID, _ flags: DispositionInformation.Flags) throws {
            var writer = WireWriter()
            DispositionInformation(flags: flags).encodeEx(into: &writer)
            let data = writer.bytes
            let id = try client.post(.setInfo) {
                SetInfoRequest(
                    infoType: .file, informationClass: FileInformationClass.dispositionEx.rawValue, fileID: file
                ).encode(into: &$0, buffer: data.span.bytes)
            }
            _ = try client.gather(id, .setInfo)
        }
        try dispose(first, [.delete, .posixSemantics])
        try client.close(first)
        #expect(access("\(server.share)/file", F_OK) != 0)
        #expect(try client.read(other, at: 0, count: 3) == [1, 2, 3])
        let new = try client.open("file", .create)
        try client.close(other)
        #expect(access("\(server.share)/file", F_OK) == 0)
        #expect(status { try dispose(new, [.delete, .onClose]) } == .notSupported)
    }

    /// FileNameInformation: the path by which the server knows the open, and its record the file.
    private func name(_ client: SMBConnection, _ file: FileID) throws -> String {
        let bytes = try client.queryInfo(file, informationClass: FileInformationClass.name.rawValue)
        return try NameInformation(parsing: bytes.span.bytes).name
    }

    /// Each open goes with the name that it came by, in the share that it came through: one may lie inside another.
    @Test func aRenameLeavesTheFilesOtherNamesInAllShares() throws {
        let server = try RunningServer { configuration in
            let path = "\(configuration.shares[0].path)/inner"
            mkdir(path, 0o755)
            configuration.shares.append(ShareRecord(name: "inner", path: path))
        }
        defer {
            for name in ["inner/y", "b", "t"] { unlink("\(server.share)/\(name)") }
            rmdir("\(server.share)/inner")
        }
        let (outer, inner) = (try server.connect(), try server.connect(share: "inner"))
        let file = try outer.open("inner\\x")
        let through = try inner.open("x", .open)
        try outer.rename(file, to: "inner\\y")
        #expect(try self.name(outer, file) == "\\inner\\y")
        #expect(try self.name(inner, through) == "\\y")
        try #require(link("\(server.share)/inner/y", "\(server.share)/b") == 0)
        let second = try outer.open("b", .open)
        try outer.rename(file, to: "t")
        #expect(try self.name(outer, file) == "\\t")
        #expect(try self.name(outer, second) == "\\b")
        #expect(try self.name(inner, through) == "\\y", "where it is no path of this share leads")
        for file in [file, second] { try outer.close(file) }
        try inner.close(through)
    }

    /// The file waits for the opens of its streams.
    @Test func aFileGoesWithTheLastOpenOfItsStreams() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let stream = try client.open("file:stream")
        try client.close(try client.open("file", .open, options: .deleteOnClose))
        #expect(status { _ = try client.open("file", .open) } == .deletePending)
        #expect(access("\(server.share)/file", F_OK) == 0)
        try client.close(stream)
        #expect(access("\(server.share)/file", F_OK) != 0)
        let closed = try client.create(
            OpenParameters("f:s", access: [.readData], share: [.read, .write], disposition: .openIf))
        #expect(status { _ = try client.open("f", access: [.delete], .open) } == .sharingViolation)
        try client.close(closed.fileID)
        #expect(status { _ = try client.open("f", access: [.delete], .open) } == .success)
    }

    /// Whoever had it open has the file open then: reads, writes, locks and share modes are the file's. [MS-FSA] 2.1.5.15.11.1.
    @Test func aStreamBecomesItsFile() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let stream = try client.open("file:stream", access: [.readData, .writeData, .delete])
        let reader = try client.open("file:STREAM", access: [.readData], .open)
        try client.write(stream, at: 0, [1, 2, 3])
        let base = try client.open("file", .open)
        #expect(status { try client.rename(stream, to: "::$DATA", replaceIfExists: true) } == .accessDenied)
        try client.close(base)
        #expect(status { try client.rename(stream, to: ":") } == .objectNameInvalid)
        #expect(status { try client.rename(stream, to: "::$DATA") } == .objectNameCollision)
        try client.rename(stream, to: "::$DATA", replaceIfExists: true)
        try client.write(stream, at: 3, [4])
        #expect(try client.read(reader, at: 0, count: 8) == [1, 2, 3, 4])
        #expect(status { _ = try client.open("file:stream", .open) } == .objectNameNotFound)
        let again = try client.open("file", access: [.readData], .open)
        #expect(try client.read(again, at: 0, count: 8) == [1, 2, 3, 4])
        #expect(
            status { _ = try client.create(OpenParameters("file", access: .readData, share: [.read])) }
                == .sharingViolation, "the first open writes")
        for file in [stream, reader, again] { try client.close(file) }
        #expect(try client.create(OpenParameters("file", access: .readData, share: [])).fileID != .related)
    }
}
