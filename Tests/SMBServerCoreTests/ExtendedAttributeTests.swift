import SMB2Wire
import SMBServerCore
import Testing

/// FileFullEaInformation of QUERY_INFO. [MS-FSA] 2.1.5.12.12.
@Suite struct ExtendedAttributeTests {
    private let server = TestServer()

    private static let kept = [("COLOR", 40_000), ("SHAPE", 20_000), ("WEIGHT", 10_000)].map { name, byteCount in
        ExtendedAttribute(name: Array(name.utf8), value: [UInt8](repeating: 7, count: byteCount))
    }

    private func query(limit: UInt32, _ names: [String] = []) throws -> TestReply {
        let client = try TestClient.ready(self.server)
        _ = try client.close(try client.open("f"))
        self.server.files.contents.withLock { $0.nodes["f"]?.extendedAttributes = Self.kept }
        let query = QueryInfoRequest(
            infoType: .file, informationClass: FileInformationClass.fullEA.rawValue,
            fileID: try client.open("f", access: .readEA), outputBufferLength: limit)
        var input = WireWriter()
        ExtendedAttribute.encodeNames(names.map { Array($0.utf8) }, into: &input)
        return try client.send(client.message(.queryInfo) { query.encode(into: &$0, input: input.span) })
    }

    private func told(_ reply: TestReply) throws -> [ExtendedAttribute] {
        let body = try OutputBufferResponse(parsing: reply.bytes.span.bytes)
        return try ExtendedAttribute.parseList(reply.bytes.span.bytes.extracting(body.buffer))
    }

    /// The last one's entry does not fit beside the others into what a request of one credit may ask for.
    @Test(arguments: [(65_536, 2), (60_030, 2), (60_029, 1), (40_014, 1)])
    func asManyAsFitAreToldAndThatThereAreMore(limit: UInt32, count: Int) throws {
        let reply = try self.query(limit: limit)
        #expect(reply.status == .bufferOverflow)
        #expect(try self.told(reply) == Array(Self.kept[..<count]))
    }

    @Test func whereNotEvenOneFitsItIsToldWhatDoes() throws {
        let reply = try self.query(limit: 40_013)
        #expect(reply.status == .bufferTooSmall)
        let error = try ErrorResponse(parsing: reply.bytes.span.bytes)
        #expect(error.data == .bare([0x4E, 0x9C, 0, 0]), "40,014")
    }

    @Test func whatIsAskedForByNameIsAnsweredByName() throws {
        let reply = try self.query(limit: 65_536, ["WEIGHT", "NONE", "SHAPE"])
        #expect(reply.status == .success)
        let none = ExtendedAttribute(name: Array("NONE".utf8), value: [])
        #expect(try self.told(reply) == [Self.kept[2], none, Self.kept[1]])
        let some = try self.query(limit: 40_100, ["COLOR", "NONE", "SHAPE"])
        #expect(some.status == .bufferOverflow)
        #expect(try self.told(some) == [Self.kept[0], none])
    }

    /// A small request makes no large answer: 4,096 times the longest that a file may have are 256 MiB.
    @Test func aNameThatIsAskedForAgainIsAnsweredOnce() throws {
        let names = (0..<ExtendedAttribute.maximumEntries).map { $0 % 2 == 0 ? "COLOR" : "color" }
        let reply = try self.query(limit: 65_536, names)
        #expect(reply.status == .success)
        #expect(try self.told(reply) == [Self.kept[0]])
    }
}
