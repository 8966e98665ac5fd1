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
        let directory = try scratch.volume.open(
            self.request(scratch, "d", .create, isReplay: false, options: .directoryFile))
        #expect(directory.action == .created && directory.file.isDirectory)
    }
}
