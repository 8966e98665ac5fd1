import Testing

@testable import ClusterPlatform

@Suite struct LUNAddressTests {
    @Test func everyPart() throws {
        let address = try LUNAddress("iscsi://alice%pa%40ss/w@rd@target.example:3261/iqn.2026-11.example:disk/7")
        #expect(address.credentials == .init(user: "alice", password: "pa%40ss/w@rd"))
        #expect(address.portals[0].host == "target.example")
        #expect(address.portals[0].port == 3261)
        #expect(address.target == "iqn.2026-11.example:disk")
        #expect(address.lun == 7)
        #expect(address.portal == "target.example:3261")
    }

    @Test func theDefaultPortAndNoLogin() throws {
        let address = try LUNAddress("iscsi://192.0.2.7/iqn.2026-11.example%3Adisk/0")
        #expect(address.credentials == nil)
        #expect(address.portals[0].port == 3260)
        #expect(address.target == "iqn.2026-11.example:disk")
    }

    @Test func ipv6() throws {
        let address = try LUNAddress("iscsi://[2001:db8::1]:3262/iqn.x/1")
        #expect(address.portals[0].host == "2001:db8::1")
        #expect(address.portal == "[2001:db8::1]:3262")
        #expect(try LUNAddress("iscsi://[::1]/iqn.x/1").portals[0].port == 3260)
    }

    @Test func severalPortals() throws {
        let address = try LUNAddress("iscsi://user%pass,word@10.0.0.20,[2001:db8::1]:3261/iqn.x/1")
        #expect(address.credentials?.password == "pass,word")
        #expect(address.portals.map(\.description) == ["10.0.0.20:3260", "[2001:db8::1]:3261"])
        #expect(address.paths.map(\.portal) == ["10.0.0.20:3260", "[2001:db8::1]:3261"])
        #expect(address.paths.allSatisfy { $0.isSame(as: address) && $0.credentials == address.credentials })
        #expect("\(address)" == "iscsi://user%***@10.0.0.20:3260,[2001:db8::1]:3261/iqn.x/1")
    }

    @Test(arguments: ["10.0.0.20,10.0.0.20:3260", "10.0.0.20,", ",10.0.0.20", "a,b,c,d,e,f,g,h,i"])
    func portalsThatAreRefused(text: String) {
        #expect(throws: PlatformError.self) { try LUNAddress("iscsi://\(text)/iqn.x/1") }
    }

    /// Portals of one group make one nexus: sessions side by side need ISIDs of their own, in every role.
    @Test func everyRoleHasItsOwnISIDOverEveryPath() {
        let roles: [ISID.Role] = [.fence, .quorumDisk, .inspection, .preparation]
        let all = roles.flatMap { role in
            (0..<LUNAddress.maximumPortals).map { ISID(node: 1, role: role, path: $0) }
        }
        #expect(Set(all).count == all.count)
    }

    @Test func thePasswordIsNeverShown() throws {
        let address = try LUNAddress("iscsi://alice%secret@host/iqn.x/1")
        #expect("\(address)" == "iscsi://alice%***@host:3260/iqn.x/1")
        #expect(throws: PlatformError.self) { try LUNAddress("iscsi://alice%secret@host:port/iqn.x/1") }
        do {
            _ = try LUNAddress("iscsi://alice%secret@host:port/iqn.x/1")
        } catch {
            #expect(error.kind == .invalid)
            #expect(!error.message.contains("secret@"))
        }
    }

    @Test(arguments: [
        "", "iscsi://", "http://host/iqn.x/1", "iscsi://host", "iscsi://host/iqn.x", "iscsi://host/iqn.x/",
        "iscsi://host//1",
        "iscsi:///iqn.x/1", "iscsi://host/iqn.x/16384", "iscsi://host/iqn.x/-1", "iscsi://host:0/iqn.x/1",
        "iscsi://host:65536/iqn.x/1", "iscsi://alice@host/iqn.x/1", "iscsi://%p@host/iqn.x/1",
        "iscsi://a%@host/iqn.x/1",
        "iscsi://2001:db8::1/iqn.x/1", "iscsi://[::1/iqn.x/1", "iscsi://[::1]x/iqn.x/1", "iscsi://host/iqn%0/1",
        "iscsi://host/iqn%0a/1", "iscsi://host/iqn x/1", "iscsi://host/iqn\nx/1",
    ])
    func refused(text: String) {
        #expect(throws: PlatformError.self) { try LUNAddress(text) }
    }

    @Test func overlongNames() {
        let long = String(repeating: "a", count: 224)
        #expect(throws: PlatformError.self) { try LUNAddress("iscsi://host/\(long)/1") }
        #expect(throws: PlatformError.self) {
            try LUNAddress("iscsi://a%\(String(repeating: "p", count: 256))@host/iqn.x/1")
        }
    }
}
