import SMB2Wire
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Security descriptors over TCP, on XFS, whose attributes hold lists as long as there can be.
@Suite struct SecurityDescriptorTests {
    private func encoded(_ descriptor: SecurityDescriptor) -> [UInt8] {
        var writer = WireWriter()
        descriptor.encode(into: &writer)
        return writer.bytes
    }

    private func query(
        _ client: SMBConnection, _ file: FileID, _ parts: SecurityInformation
    ) throws -> SecurityDescriptor {
        let answer = try client.queryInfo(
            file, .security, informationClass: 0, additionalInformation: parts.rawValue)
        return try SecurityDescriptor(parsing: answer.span.bytes)
    }

    private func set(
        _ client: SMBConnection, _ file: FileID, _ parts: SecurityInformation, _ descriptor: SecurityDescriptor
    ) throws {
        try client.setInfo(
            file, .security, informationClass: 0, additionalInformation: parts.rawValue, self.encoded(descriptor))
    }

    /// What others made in a folder inherits when somebody looks, and CREATOR OWNER becomes a longer name by it: a list
    /// that a client may set grows to one that there cannot be.
    @Test func aListThatIsTooLongToInheritGrantsNothing() throws {
        let server = try XFSServer()
        let client = try server.connect()
        let folder = try client.open("d", access: [.readControl, .writeDAC], .create, options: .directoryFile)
        try #require(mkdir("\(server.share)/d/sub", 0o755) == 0)
        let made = Glibc.open("\(server.share)/d/f", O_CREAT | O_WRONLY, 0o644)
        try #require(made >= 0)
        Glibc.close(made)
        let children = try [
            client.open("d\\f", access: .readControl, .open),
            client.open("d\\sub", access: .readControl, .open, options: .directoryFile),
        ]
        for child in children { #expect(try self.query(client, child, .dacl).dacl?.entries.count == 1) }
        let entry = ACE(
            kind: .accessAllowed, flags: [.objectInherit, .containerInherit], mask: .fileAll, sid: .creatorOwner)
        let list = ACL(entries: [ACE](repeating: entry, count: 3200))
        try self.set(client, folder, .dacl, SecurityDescriptor(owner: nil, group: nil, dacl: list))
        for child in children {
            let security = try self.query(client, child, [.owner, .dacl])
            #expect(security.control.contains(.daclPresent) && security.dacl?.entries == [])
            #expect(security.owner == .administrators)
        }
        #expect(status { _ = try client.open("d\\f", access: .readData, .open) } == .accessDenied)
    }
}
