import SMB2Wire
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

/// What a share is told to have or to do without, as a client meets it.
@Suite struct ShareTraitTests {
    private static let name = "some document.text"

    private func make(_ connection: SMBConnection, _ path: String) throws -> FileID {
        try connection.create(
            OpenParameters(path, access: [.readData, .writeData, .readAttributes], disposition: .openIf)
        ).fileID
    }

    private func alternateName(_ connection: SMBConnection, _ file: FileID) throws -> String {
        let answer = try connection.queryInfo(
            file, informationClass: FileInformationClass.alternateName.rawValue)
        return try UTF16LE.decode(answer.span.bytes.extracting(4..<answer.count))
    }

    @Test func shortNames() throws {
        let server = try RunningServer { $0.shares[0].traits = .shortNames }
        let connection = try server.connect()
        let file = try self.make(connection, Self.name)
        let short = ShortName.given(Self.name)
        #expect(try self.alternateName(connection, file) == short)
        #expect(try self.alternateName(connection, self.make(connection, "readme.txt")) == "README.TXT")
        let directory = try connection.create(OpenParameters("", options: .directoryFile)).fileID
        for level in DirectoryInformationClass.allCases where level.hasShortName {
            let entries = try connection.queryDirectory(
                directory, pattern: "*", flags: .reopen, informationClass: level)
            let names = (entries ?? []).map { "\($0.name) \(String(decoding: $0.entry.shortName, as: UTF16.self))" }
            #expect(names.contains("\(Self.name) \(short)") && names.contains("readme.txt "), "\(level)")
        }
        try connection.close(file)
        try connection.close(try connection.create(OpenParameters(short.lowercased())).fileID)
        try connection.delete(short)
        #expect(try !connection.list("").map(\.name).contains(Self.name))
    }

    @Test func withoutTheSettings() throws {
        let server = try RunningServer()
        let connection = try server.connect()
        let file = try self.make(connection, Self.name)
        #expect(throws: ClientError.self) { try self.alternateName(connection, file) }
        #expect(try connection.list("").allSatisfy { $0.entry.shortName.isEmpty })
    }

    @Test func withoutStreamsAndHidden() throws {
        let server = try RunningServer {
            $0.shares[0].traits = .withoutStreams
            $0.shares[0].hiddenFiles = [".*"]
        }
        let connection = try server.connect()
        _ = try self.make(connection, ".profile")
        #expect(throws: ClientError.self) { try self.make(connection, ".profile:stream") }
        let hidden = try connection.list("").filter { $0.entry.information.attributes.contains(.hidden) }
        #expect(hidden.map(\.name) == [".profile"])
    }
}
