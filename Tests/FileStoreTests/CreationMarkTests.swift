import SMB2Wire
import Testing

@testable import FileStore

/// A CREATE that a crash interrupted comes again, to a server that knows nothing of it.
@Suite struct CreationMarkTests {
    private func request(
        _ scratch: Scratch, _ path: String, _ disposition: CreateDisposition, guid: UInt64 = 1, client: UInt64 = 2,
        isReplay: Bool, attributes: FileAttributes = [], options: CreateOptions = []
    ) throws -> OpenRequest {
        var request = try scratch.request(path, disposition, options: options, attributes: attributes)
        request.creationMark = CreationMark(
            createGUID: GUID(low: guid, high: 0), clientGUID: GUID(low: client, high: 0), isReplay: isReplay)
        return request
    }

    @Test(arguments: [CreateDisposition.create, .openIf, .overwriteIf, .supersede])
    func aRepeatedRequestCreatesTheSameFile(disposition: CreateDisposition) throws {
        let scratch = try Scratch()
        let first = try scratch.volume.open(self.request(scratch, "f", disposition, isReplay: false))
        #expect(first.action == .created)
        try first.file.write("kept")
        // Another server over the same files.
        let volume = try Volume(root: scratch.path, options: .init(label: "test"))
        let again = try volume.open(self.request(scratch, "F", disposition, isReplay: true))
        #expect(again.action == .created)
        #expect(again.file.identity == first.file.identity)
        #expect(try again.file.text() == "kept", "and destroys nothing")
        #expect(try scratch.list() == ["f"])
    }

    @Test func whatWasNotFinishedIsFinished() throws {
        let scratch = try Scratch()
        _ = try scratch.volume.open(self.request(scratch, "f", .create, isReplay: false))
        let again = try scratch.volume.open(
            self.request(scratch, "f", .create, isReplay: true, attributes: .hidden))
        #expect(again.information.attributes == [.hidden, .archive])
        #expect(try scratch.open("f").information.attributes == [.hidden, .archive])
    }

    @Test func onlyTheSameRequestRepeatedIsTheSame() throws {
        let scratch = try Scratch()
        _ = try scratch.volume.open(self.request(scratch, "f", .create, isReplay: false))
        for request in [
            try self.request(scratch, "f", .create, isReplay: false),
            try self.request(scratch, "f", .create, guid: 7, isReplay: true),
            try self.request(scratch, "f", .create, client: 7, isReplay: true),
        ] {
            #expect(scratch.status { _ = try scratch.volume.open(request) } == .objectNameCollision)
        }
        try scratch.open("g", .create)
        let unmarked = try self.request(scratch, "g", .create, isReplay: true)
        #expect(scratch.status { _ = try scratch.volume.open(unmarked) } == .objectNameCollision)
        #expect(try scratch.volume.open(self.request(scratch, "f", .open, isReplay: true)).action == .opened)
    }

    @Test func aMarkedFileIsAFileLikeAnother() throws {
        let scratch = try Scratch()
        let made = try scratch.volume.open(self.request(scratch, "f", .create, isReplay: false)).file
        try made.write("hello")
        #expect(try made.text() == "hello")
        #expect(try made.currentPath() == NTPath("f"))
        #expect(try made.extendedAttributes().isEmpty, "no client sees the mark")
        try scratch.volume.rename(made, to: try NTPath("g"), replaceExisting: false)
        #expect(try made.currentPath() == NTPath("g"))
        try scratch.volume.delete(made)
        #expect(try scratch.list() == [])
    }

    // MARK: Streams

    /// Of a file that was there, and of one that the request makes with it.
    @Test(arguments: [CreateDisposition.create, .openIf, .overwriteIf, .supersede])
    func aRepeatedRequestMakesTheSameStream(disposition: CreateDisposition) throws {
        let scratch = try Scratch()
        try scratch.open("f", .create).file.write("the file")
        for path in ["f:new", "g:new"] {
            let first = try scratch.volume.open(self.request(scratch, path, disposition, isReplay: false))
            #expect(first.action == .created)
            try first.file.write("kept")
            let volume = try Volume(root: scratch.path, options: .init(label: "test"))
            let again = try volume.open(self.request(scratch, path.uppercased(), disposition, isReplay: true))
            #expect(again.action == .created && again.file.isStream)
            #expect(again.file.identity == first.file.identity)
            #expect(try again.file.text() == "kept", "and destroys nothing")
            #expect(again.information.endOfFile == 4)
            #expect(try first.file.streams().map(\.name) == ["::$DATA", ":new:$DATA"])
            #expect(try first.file.extendedAttributes().isEmpty, "no client sees the mark")
        }
        #expect(try scratch.open("f").file.text() == "the file")
    }

    @Test func onlyTheSameRequestRepeatedIsTheSameStream() throws {
        let scratch = try Scratch()
        try scratch.open("f", .create)
        let first = try scratch.volume.open(self.request(scratch, "f:s", .create, isReplay: false)).file
        let repeated = try self.request(scratch, "f:s", .create, isReplay: true)
        for request in [
            try self.request(scratch, "f:s", .create, isReplay: false),
            try self.request(scratch, "f:s", .create, guid: 7, isReplay: true),
            try self.request(scratch, "f:s", .create, client: 7, isReplay: true),
        ] {
            #expect(scratch.status { _ = try scratch.volume.open(request) } == .objectNameCollision)
        }
        #expect(try scratch.volume.open(self.request(scratch, "f:s", .open, isReplay: true)).action == .opened)
        #expect(try scratch.volume.open(repeated).action == .created)
        // The next one of that name is another's.
        try scratch.volume.delete(first)
        let next = try scratch.open("f:s", .create).file
        #expect(scratch.status { _ = try scratch.volume.open(repeated) } == .objectNameCollision)
        // And so is one that gets the name.
        try scratch.volume.delete(next)
        let third = try scratch.volume.open(repeated).file
        #expect(try scratch.volume.open(repeated).action == .created)
        try scratch.volume.delete(third)
        let other = try scratch.open("f:t", .create).file
        try scratch.volume.renameStream([other], to: Array("s".utf8), replaceExisting: false)
        #expect(scratch.status { _ = try scratch.volume.open(repeated) } == .objectNameCollision)
    }

    /// Their records need not be there yet when the next one is made.
    @Test func severalStreamsOfAFileAreKnownAgain() throws {
        let scratch = try Scratch()
        try scratch.open("f", .create)
        let guids = (0...UInt64(FileStoreLimits.markedStreams)).map { $0 + 10 }
        for guid in guids {
            _ = try scratch.volume.open(self.request(scratch, "f:s\(guid)", .create, guid: guid, isReplay: false))
        }
        for guid in guids {
            let request = try self.request(scratch, "f:s\(guid)", .create, guid: guid, isReplay: true)
            let expected: NTStatus = guid == guids[0] ? .objectNameCollision : .success
            #expect(scratch.status { _ = try scratch.volume.open(request) } == expected, "the oldest is forgotten")
        }
    }
}
