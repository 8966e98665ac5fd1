import SMB2Wire
import StateRecords
import Testing

@testable import SMBServerCore

/// Names to SIDs and back, and the calls that give them out.
@Suite struct AccountTests {
    let accounts = Accounts(TestServer.configuration)

    @Test func everyWellKnownNameIsFoundBothWays() throws {
        for account in WellKnownAccounts.all {
            #expect(self.accounts.find(account.sid) == account)
            let qualified = account.domain.isEmpty ? account.name : "\(account.domain)\\\(account.name)"
            #expect(self.accounts.find(qualified.uppercased()) == account)
        }
        for domain in WellKnownAccounts.domains {
            #expect(self.accounts.find(domain.sid)?.use == .domain)
            #expect(self.accounts.find(domain.domain.lowercased())?.sid == domain.sid)
        }
    }

    @Test func usersAreFoundHoweverTheyAreWritten() throws {
        let alice = try #require(SID("S-1-5-21-1-2-3-1000"))
        for name in ["alice", "ALICE", #"test\Alice"#, "alice@TEST"] { #expect(self.accounts.find(name)?.sid == alice) }
        let account = try #require(self.accounts.find(alice))
        #expect(account.name == "alice" && account.domain == "TEST" && account.use == .user)
        #expect(self.accounts.find("TEST")?.use == .domain)
        #expect(self.accounts.find(#"other\alice"#) == nil)
        #expect(self.accounts.find("S-1-5-21-1-2-3-77") == nil)
        #expect(try self.accounts.find(#require(SID("S-1-5-21-1-2-4-1000"))) == nil)
        #expect(try self.accounts.find(#require(SID("S-1-5-21-1-2-3-77"))) == nil)
    }

    @Test func unixIdsHaveNames() {
        #expect(self.accounts.find(.unixUser(1000))?.name == "1000")
        #expect(self.accounts.find(#"Unix Group\7"#)?.sid == .unixGroup(7))
    }

    @Test func onlyTheBuiltInAdministratorIsOne() {
        #expect(!self.accounts.isAdministrator(User(name: "alice", sid: "S-1-5-21-1-2-3-1000")))
        #expect(!self.accounts.isAdministrator(User(name: "x", sid: "S-1-5-21-1-2-4-500")))
        #expect(self.accounts.isAdministrator(User(name: "root", sid: "S-1-5-21-1-2-3-500")))
    }

    // MARK: Over the pipes

    /// The stub of the answer to one call; nil where it was a fault.
    private func call(
        _ pipe: inout TestPipe, _ operation: UInt16, _ stub: (inout NDRWriter) -> Void
    ) throws -> [UInt8]? {
        let request = PipeEndpointTests.request(operation, stub)
        var answer: [UInt8] = []
        for fragment in try pipe.receive(request.span.bytes) {
            guard try RPCHeader(parsing: fragment.span.bytes).kind == RPCPacketKind.response else { return nil }
            let response = try RPCResponse(parsing: fragment.span.bytes)
            answer += fragment[response.stub]
        }
        return answer
    }

    private func bound(_ service: PipeService, server: TestServer = TestServer()) throws -> TestPipe {
        var pipe = TestPipe(service, server: server)
        let bind = PipeEndpointTests.bind(service.interface)
        _ = try pipe.receive(bind.span.bytes)
        return pipe
    }

    private func status(_ stub: [UInt8]) -> UInt32 { stub.span.bytes.load(UInt32.self, at: stub.count - 4) }

    private func handle(_ stub: [UInt8]) throws -> RPCContextHandle {
        try RPCHandleCall(parsing: stub.span.bytes).handle
    }

    @Test func namesAreLookedUpOverThePipe() throws {
        var pipe = try self.bound(.lsarpc)
        let opened = try #require(
            try self.call(&pipe, LsarOperation.openPolicy2) {
                LsarOpenPolicy(desiredAccess: 0x0200_0000).encode(into: &$0, server: "s")
            })
        let policy = try self.handle(opened)
        let all = try #require(
            try self.call(&pipe, LsarOperation.lookupNames3) {
                LsarLookupNames(handle: policy, names: ["alice", "Everyone"]).encode(into: &$0)
            })
        #expect(self.status(all) == NTStatus.success.rawValue)
        let some = try #require(
            try self.call(&pipe, LsarOperation.lookupSids2) {
                LsarLookupSids(handle: policy, sids: [.everyone, SID(9, [9])]).encode(into: &$0)
            })
        #expect(self.status(some) == NTStatus.someNotMapped.rawValue)
        let none = try #require(
            try self.call(&pipe, LsarOperation.lookupNames) {
                LsarLookupNames(handle: policy, names: ["nobody"]).encode(into: &$0)
            })
        #expect(self.status(none) == NTStatus.noneMapped.rawValue)
        _ = try self.call(&pipe, LsarOperation.close) { RPCHandleCall(handle: policy).encode(into: &$0) }
        // A handle that was closed is none.
        let stale = try self.call(&pipe, LsarOperation.lookupNames) {
            LsarLookupNames(handle: policy, names: ["alice"]).encode(into: &$0)
        }
        #expect(stale == nil)
    }

    @Test func contextHandlesHaveALimit() throws {
        var pipe = try self.bound(.samr)
        for _ in 0..<ContextHandles.limit {
            let stub = try self.call(&pipe, SamrOperation.connect5) {
                SamrConnect.encode(operation: SamrOperation.connect5, server: "s", into: &$0)
            }
            #expect(self.status(try #require(stub)) == NTStatus.success.rawValue)
        }
        let stub = try self.call(&pipe, SamrOperation.connect5) {
            SamrConnect.encode(operation: SamrOperation.connect5, server: "s", into: &$0)
        }
        #expect(self.status(try #require(stub)) == NTStatus.insufficientResources.rawValue)
    }

    /// What others do is an administrator's to see; at level 10 everybody sees their own sessions.
    @Test func sessionsAndFilesAreForAdministrators() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server)
        _ = try TestClient.ready(server, user: "bob", guid: GUID(low: 5, high: 5))
        _ = try alice.open("a")
        func ask(_ operation: UInt16, _ level: UInt32, sid: String) throws -> (entries: UInt32, status: UInt32) {
            var pipe = try self.bound(.srvsvc, server: server)
            pipe.caller = User(name: "alice", sid: sid)
            let stub = try #require(
                try self.call(&pipe, operation) {
                    SrvsvcEnumeration(operation: operation, filters: [nil, nil], level: level)
                        .encode(into: &$0, server: "s")
                })
            return (stub.span.bytes.load(UInt32.self, at: 12), self.status(stub))
        }
        let own = "S-1-5-21-1-2-3-1000"
        let administrator = "S-1-5-21-1-2-3-500"
        #expect(try ask(SrvsvcOperation.netrSessionEnum, 10, sid: own) == (1, Win32Error.success))
        #expect(try ask(SrvsvcOperation.netrSessionEnum, 1, sid: own) == (0, Win32Error.accessDenied))
        #expect(try ask(SrvsvcOperation.netrFileEnum, 3, sid: own) == (0, Win32Error.accessDenied))
        #expect(try ask(SrvsvcOperation.netrSessionEnum, 502, sid: administrator) == (2, Win32Error.success))
        #expect(try ask(SrvsvcOperation.netrFileEnum, 3, sid: administrator) == (1, Win32Error.success))
    }

    /// The files of an administrator's listing come in parts, each from where the one before it ended.
    @Test func openFilesAreListedInParts() throws {
        let server = TestServer()
        let alice = try TestClient.ready(server)
        for index in 0..<7 { _ = try alice.open("file\(index)") }
        var pipe = try self.bound(.srvsvc, server: server)
        pipe.caller = User(name: "root", sid: "S-1-5-21-1-2-3-500")
        func list(from handle: UInt32, base: String? = nil) throws -> (entries: UInt32, total: UInt32, status: UInt32) {
            let stub = try #require(
                try self.call(&pipe, SrvsvcOperation.netrFileEnum) {
                    SrvsvcEnumeration(
                        operation: SrvsvcOperation.netrFileEnum, filters: [base, nil], level: 2,
                        preferredByteCount: 300, resumeHandle: handle
                    ).encode(into: &$0, server: "s")
                })
            // Behind the entries: the total, the resume handle's pointer and value, the status.
            return (
                stub.span.bytes.load(UInt32.self, at: 12), stub.span.bytes.load(UInt32.self, at: stub.count - 16),
                self.status(stub)
            )
        }
        #expect(try list(from: 0) == (3, 7, Win32Error.moreData))
        #expect(try list(from: 3) == (3, 4, Win32Error.moreData))
        #expect(try list(from: 6) == (1, 1, Win32Error.success))
        #expect(try list(from: 99) == (0, 0, Win32Error.success))
        #expect(try list(from: .max) == (0, 0, Win32Error.success))
        #expect(try list(from: 0, base: #"c:\test\file5"#) == (1, 1, Win32Error.success))
    }

    @Test func manyCallsInOneWriteAreBounded() throws {
        var pipe = try self.bound(.srvsvc)
        let one = PipeEndpointTests.request(99) { _ in }
        let most = [[UInt8]](repeating: one, count: PipeEndpoint.maximumCalls).flatMap(\.self)
        for _ in 0..<2 { #expect(try pipe.receive(most.span.bytes).count == PipeEndpoint.maximumCalls) }
        let more = most + one
        #expect(throws: WireError.limitExceeded("RPC calls")) { try pipe.receive(more.span.bytes) }
    }

    /// Every request of every service, broken in all the ways: an answer, a fault or a broken pipe, and never a trap.
    @Test(arguments: PipeService.allCases)
    func mutatedCallsNeverTrap(service: PipeService) throws {
        let handle = RPCContextHandle(uuid: GUID(low: 1 << 32 | 1, high: 0x686F_6C64_6661_7374))
        let texts: (inout NDRWriter) -> Void = { $0.append(uniqueString: "server") }
        let stubs: [(inout NDRWriter) -> Void] = [
            texts, { SamrConnect.encode(operation: SamrOperation.connect5, server: "s", into: &$0) },
            { LsarOpenPolicy(desiredAccess: 1).encode(into: &$0, server: "s") },
            { LsarLookupNames(handle: handle, names: ["alice", "x"]).encode(into: &$0) },
            { LsarLookupSids(handle: handle, sids: [.everyone, .administrators]).encode(into: &$0) },
            { SamrOpenDomain(handle: handle, desiredAccess: 1, sid: SID(5, [32])).encode(into: &$0) },
            { SamrLookupNames(handle: handle, names: ["alice"]).encode(into: &$0) },
            { SamrNumbersCall(handle: handle, numbers: [0, 1000, 0xFFFF, 1]).encode(into: &$0) },
            {
                SrvsvcEnumeration(operation: SrvsvcOperation.netrSessionEnum, filters: [nil, nil], level: 10)
                    .encode(into: &$0, server: "s")
            },
            { NetrShareEnum(level: 1).encode(into: &$0, server: "s") },
        ]
        var state: UInt64 = 7
        func random(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % below
        }
        var answered = 0
        for round in 0..<40 {
            var pipe = try self.bound(service)
            pipe.caller = User(name: "root", sid: "S-1-5-21-1-2-3-500")
            if service == .lsarpc {
                _ = try self.call(&pipe, LsarOperation.openPolicy2) {
                    LsarOpenPolicy(desiredAccess: 1).encode(into: &$0, server: "s")
                }
            }
            for operation in UInt16(0)...80 {
                var bytes = PipeEndpointTests.request(operation, stubs[(Int(operation) + round) % stubs.count])
                for _ in 0..<random(4) {
                    // Behind the header, so that the length stays true and the call is reached.
                    bytes[24 + random(bytes.count - 24)] = [0, 1, 0x7F, 0x80, 0xFF, UInt8(random(256))][random(6)]
                }
                do throws(WireError) {
                    answered += try pipe.receive(bytes.span.bytes).count
                } catch { break }
            }
        }
        #expect(answered > 1000)
    }
}
