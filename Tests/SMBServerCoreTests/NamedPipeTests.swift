import SMB2Wire
import Testing

@testable import SMBServerCore

/// What a pipe does that its service has not answered yet. [MS-SMB2] 3.3.5.12, 3.3.5.15.4, 3.3.5.15.10.
@Suite struct NamedPipeTests {
    let server = TestServer()
    let client: TestClient

    init() throws { self.client = try TestClient.ready(self.server, share: "IPC$") }

    private func open(_ name: String = "srvsvc") throws -> FileID {
        try #require(self.client.send(self.client.createMessage(name, disposition: .open)).create).fileID
    }

    private func read(_ pipe: FileID, length: UInt32 = 4096) throws -> TestReply {
        try self.client.send(self.readMessage(pipe, length: length))
    }

    private func readMessage(_ pipe: FileID, length: UInt32 = 4096) -> [UInt8] {
        self.client.message(.read) { ReadRequest(fileID: pipe, offset: 0, length: length).encode(into: &$0) }
    }

    private func write(_ pipe: FileID, _ bytes: [UInt8]) throws -> NTStatus? {
        try self.client.send(
            self.client.message(.write) {
                WriteRequest(fileID: pipe, offset: 0).encode(into: &$0, data: bytes.span.bytes)
            }
        ).status
    }

    private func control(
        _ code: ControlCode, _ pipe: FileID, _ input: [UInt8] = [], limit: UInt32 = 4096
    ) throws -> TestReply {
        try self.client.send(
            self.client.message(.ioctl) {
                IoctlRequest(code: code, fileID: pipe, maximumOutputResponse: limit)
                    .encode(into: &$0, input: input.span.bytes)
            })
    }

    /// Bytes of the late answers, which are taken.
    private func lateAnswers() -> [Completion] {
        defer { self.server.completions = [] }
        return self.server.completions
    }

    private func data(_ message: [UInt8]) throws -> [UInt8] {
        let response = try ReadResponse(parsing: message.span.bytes)
        return Array(message[response.data])
    }

    private func output(_ message: [UInt8]) throws -> [UInt8] {
        let response = try IoctlResponse(parsing: message.span.bytes)
        return Array(message[response.output])
    }

    private func header(_ message: [UInt8]) throws -> SMB2Header { try SMB2Header(parsing: message.span.bytes) }

    private func kind(_ packet: [UInt8]) throws -> UInt8 { try RPCHeader(parsing: packet.span.bytes).kind }

    private func statuses(_ completions: [Completion]) throws -> [NTStatus] {
        try completions.map { try self.header($0.message).status }
    }

    @Test func aReadOfAnEmptyPipeWaitsForTheAnswer() throws {
        let pipe = try self.open()
        let interim = try self.read(pipe)
        #expect(interim.status == .pending)
        #expect(interim.header?.flags.contains(.async) == true)
        #expect(self.lateAnswers().isEmpty)
        // Its client goes on writing: the answer goes to the one who waits.
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .success)
        let answer = try #require(self.lateAnswers().first).message
        let header = try self.header(answer)
        #expect(header.status == .success && header.asyncID == interim.header?.asyncID)
        #expect(try self.kind(self.data(answer)) == RPCPacketKind.bindAck)
    }

    @Test func severalWaitAndAreServedInTheirOrder() throws {
        let pipe = try self.open()
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .success)
        #expect(try self.read(pipe).status == .success)
        let ids = try (0..<3).map { _ in try #require(try self.read(pipe).header).asyncID }
        let calls = PipeEndpointTests.listing + PipeEndpointTests.listing
        #expect(try self.write(pipe, calls) == .success)
        let served = try self.lateAnswers().map { try self.header($0.message).asyncID }
        #expect(served == Array(ids[..<2]))
        // A read that comes now does not overtake the third.
        #expect(try self.read(pipe).status == .pending)
        #expect(try self.write(pipe, PipeEndpointTests.listing) == .success)
        let third = try self.lateAnswers().map { try self.header($0.message).asyncID }
        #expect(third == [ids[2]])
    }

    @Test func aTransceiveWaitsForTheRestOfItsCall() throws {
        let pipe = try self.open()
        let bind = PipeEndpointTests.bind()
        let interim = try self.control(.pipeTransceive, pipe, Array(bind[..<20]))
        #expect(interim.status == .pending)
        #expect(try self.write(pipe, Array(bind[20...])) == .success)
        let answer = try #require(self.lateAnswers().first).message
        let header = try self.header(answer)
        #expect(header.command == .ioctl && header.status == .success)
        #expect(try self.kind(self.output(answer)) == RPCPacketKind.bindAck)
    }

    @Test func aWaitingReadIsCancelled() throws {
        let pipe = try self.open()
        let interim = try #require(try self.read(pipe).header)
        var cancel = SMB2Header(command: .cancel, creditCharge: 0, credits: 0, messageID: interim.messageID)
        cancel.flags.insert(.async)
        cancel.asyncID = interim.asyncID
        cancel.sessionID = self.client.session
        var writer = WireWriter()
        cancel.encode(into: &writer)
        CancelRequest().encode(into: &writer)
        let message = writer.bytes
        #expect(self.server.exchange(self.client.connection, [message]).isEmpty)
        #expect(try self.statuses(self.lateAnswers()) == [.cancelled])
        // What comes then waits for the next read.
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .success)
        #expect(self.lateAnswers().isEmpty)
        #expect(try self.read(pipe).status == .success)
    }

    @Test func closingThePipeEndsThoseWhoWait() throws {
        let pipe = try self.open()
        for _ in 0..<3 { #expect(try self.read(pipe).status == .pending) }
        let close = self.client.message(.close) { CloseRequest(fileID: pipe).encode(into: &$0) }
        #expect(try self.client.send(close).status == .success)
        #expect(try self.statuses(self.lateAnswers()) == [.pipeBroken, .pipeBroken, .pipeBroken])
        #expect(self.server.state.pending.count == 0)
    }

    /// What is no PDU ends the pipe for those who wait, too, and for all who come.
    @Test func aBrokenPipeEndsThoseWhoWait() throws {
        let pipe = try self.open()
        #expect(try self.read(pipe).status == .pending)
        #expect(try self.write(pipe, [UInt8](repeating: 0xEE, count: 32)) == .pipeBroken)
        #expect(try self.statuses(self.lateAnswers()) == [.pipeBroken])
        #expect(try self.read(pipe).status == .pipeBroken)
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .pipeBroken)
    }

    @Test func thereIsALimitToThoseWhoWait() throws {
        let pipe = try self.open()
        for _ in 0..<NamedPipe.waitingLimit { #expect(try self.read(pipe).status == .pending) }
        #expect(try self.read(pipe).status == .insufficientResources)
    }

    /// FILE_PIPE_COMPLETE_OPERATION: nothing waits. [MS-FSCC] 2.4.36.
    @Test func aPipeMayBeSetNotToWait() throws {
        let pipe = try self.open()
        func set(_ mode: PipeInformation) throws -> NTStatus? {
            var data = WireWriter()
            mode.encode(into: &data)
            let bytes = data.bytes
            return try self.client.send(
                self.client.message(.setInfo) {
                    SetInfoRequest(
                        infoType: .file, informationClass: FileInformationClass.pipe.rawValue, fileID: pipe
                    ).encode(into: &$0, buffer: bytes.span.bytes)
                }
            ).status
        }
        #expect(try set(PipeInformation(readsMessages: true, completesAtOnce: true)) == .success)
        #expect(try self.read(pipe).status == .pipeEmpty)
        // As a stream of bytes a message's end says nothing, and there is no way back.
        #expect(try set(PipeInformation(readsMessages: false, completesAtOnce: true)) == .success)
        #expect(try self.write(pipe, PipeEndpointTests.bind() + PipeEndpointTests.listing) == .success)
        let part = try self.read(pipe, length: 16)
        #expect(part.status == .success)
        let rest = try self.read(pipe, length: 65_536)
        #expect(rest.status == .success)
        let stream = try self.data(part.bytes) + self.data(rest.bytes)
        #expect(try self.kind(stream) == RPCPacketKind.bindAck)
        let second = try Array(stream[RPCHeader(parsing: stream.span.bytes).fragmentLength...])
        #expect(try self.kind(second) == RPCPacketKind.response)
        #expect(try set(PipeInformation(readsMessages: true, completesAtOnce: true)) == .invalidParameter)
    }

    @Test func peekingTakesNothing() throws {
        let pipe = try self.open()
        let empty = try self.control(.pipePeek, pipe)
        #expect(empty.status == .success)
        var output = try self.output(empty.bytes)
        let nothing = try PipePeekResponse(parsing: output.span.bytes)
        #expect(nothing == PipePeekResponse(isConnected: true, available: 0, messages: 0, messageLength: 0))
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .success)
        for _ in 0..<2 {
            let full = try self.control(.pipePeek, pipe)
            #expect(full.status == .success)
            output = try self.output(full.bytes)
            let peeked = try PipePeekResponse(parsing: output.span.bytes)
            #expect(peeked.messages == 1 && Int(peeked.messageLength) == output.count - PipePeekResponse.byteCount)
        }
        #expect(try self.control(.pipePeek, pipe, limit: 20).status == .bufferOverflow)
        #expect(try self.control(.pipePeek, pipe, limit: 0).status == .success)
        #expect(try self.control(.pipePeek, pipe, limit: 15).status == .infoLengthMismatch)
        let read = try self.read(pipe)
        #expect(try self.data(read.bytes) == Array(output[PipePeekResponse.byteCount...]))
    }

    /// Linux's client drops what stands before an interim response in the same encrypted frame: it goes alone.
    @Test func anInterimResponseGoesAloneWhereItsFrameIsEncrypted() throws {
        let pipe = try self.open()
        let session = self.client.session
        let messages = [
            self.client.message(.echo) { EchoRequest().encode(into: &$0) }, self.readMessage(pipe),
        ]
        let replies = self.server.exchange(self.client.connection, messages, encryptedFor: session)
        #expect(replies.map(\.status) == [.success])
        let interim = try #require(self.lateAnswers().first)
        let header = try self.header(interim.message)
        #expect(header.status == .pending && header.credits > 0 && interim.isOrdered)
        // What it is answered with in the end does not overtake it.
        #expect(try self.write(pipe, PipeEndpointTests.bind()) == .success)
        #expect(try #require(self.lateAnswers().first).isOrdered)
    }
}
