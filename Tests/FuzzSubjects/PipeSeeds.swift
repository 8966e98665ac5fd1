import GoldenMessages
import SMB2Wire
import SMBServerCore

/// What clients say to a pipe once it is bound: the calls of each interface, those that want a handle behind the one that opens
/// it. Several PDUs may come in one write, so one input is a whole conversation.
package enum PipeSeeds {
    /// The presentation context of `bind`, which all calls name.
    private static let contextID: UInt16 = 0
    /// The handles that a pipe gives out first and second (`ContextHandles`: slot and generation, and a mark).
    private static let first = RPCContextHandle(uuid: GUID(low: 1 << 32 | 1, high: 0x686F_6C64_6661_7374))
    private static let second = RPCContextHandle(uuid: GUID(low: 1 << 32 | 2, high: 0x686F_6C64_6661_7374))
    private static let maximumAllowed: UInt32 = 0x0200_0000
    /// The server's own domain (`CoreServer`) and its first user.
    private static let domain = SID(5, [21, 1, 2, 3])
    private static let user = SID(5, [21, 1, 2, 3, 1000])

    static func bind(_ interface: RPCSyntax) -> [UInt8] {
        var writer = WireWriter()
        RPCBind(
            maximumTransmitFragment: 4280, maximumReceiveFragment: 4280, associationGroup: 0,
            contexts: [.init(id: Self.contextID, interface: interface, transferSyntaxes: [.ndr])]
        ).encode(into: &writer, callID: 1)
        return writer.bytes
    }

    package static var conversations: [(service: PipeService, packets: [UInt8])] {
        [(.srvsvc, self.srvsvc), (.wkssvc, self.wkssvc), (.lsarpc, self.policy)]
            + self.lookups.map { (.lsarpc, $0) } + ([self.domains] + self.accounts).map { (.samr, $0) }
    }

    static var all: [[UInt8]] { [self.bind(.srvsvc), self.sealed] + self.conversations.map(\.packets) }

    /// Behind RPC's own authentication, encrypted: the bind with its token, the call with its verifier.
    private static let sealed = hex(
        """
        05 00 0B 03 10000000 5400 0400 01000000 B810 B810 00000000 01 00 0000
        0000 01 00 C84F324B 7016 D301 1278 5A47BF6EE188 03000000 045D888A EB1C C911 9FE8 08002B104860 02000000
        0A 06 00 00 01000000 01020304
        05 00 00 03 10000000 5C00 1000 02000000 28000000 0000 0F00
        00000000 01000000 01000000 04000200 00000000 00000000 FFFFFFFF 00000000 00000000 00000000
        00000000 0A 06 04 00 01000000 01000000 0000000000000000 00000000
        """)

    /// The PDUs of a conversation.
    package static func cut(_ packets: [UInt8]) -> [[UInt8]] {
        var rest = packets[...]
        var found: [[UInt8]] = []
        while rest.count >= RPCHeader.byteCount {
            let length = Int(rest[rest.startIndex + 8]) | Int(rest[rest.startIndex + 9]) << 8
            guard length > 0 else { break }
            found.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return found
    }

    /// The interfaces and the transfer syntax as they lie in a bind.
    static var syntaxes: [[UInt8]] {
        ([.ndr] + PipeService.allCases.map(\.interface)).map { (syntax: RPCSyntax) in
            withUnsafeBytes(of: (syntax.uuid.low.littleEndian, syntax.uuid.high.littleEndian)) { Array($0) }
        }
    }

    private static func call(_ operation: UInt16, _ stub: (inout NDRWriter) -> Void) -> [UInt8] {
        var ndr = NDRWriter()
        stub(&ndr)
        let bytes = ndr.bytes
        var writer = WireWriter()
        RPCRequest(contextID: Self.contextID, operation: operation)
            .encode(into: &writer, stub: bytes.span.bytes, callID: 2)
        return writer.bytes
    }

    private static var srvsvc: [UInt8] {
        var calls: [UInt8] = []
        for level: UInt32 in [0, 1, 2, 501, 502, 1005] {
            calls += self.call(SrvsvcOperation.netrShareGetInfo) {
                NetrShareGetInfo(name: "test", level: level).encode(into: &$0, server: "s")
            }
        }
        calls += self.call(SrvsvcOperation.netrShareEnum) {
            NetrShareEnum(level: 2).encode(into: &$0, server: "s")
        }
        calls += self.call(SrvsvcOperation.netrServerGetInfo) {
            NetrServerGetInfo(level: 101).encode(into: &$0, server: "s")
        }
        for (operation, filters, level): (UInt16, [String?], UInt32) in [
            (SrvsvcOperation.netrConnectionEnum, ["test"], 1), (SrvsvcOperation.netrFileEnum, [nil, "alice"], 3),
            (SrvsvcOperation.netrSessionEnum, [nil, nil], 10),
        ] {
            calls += self.call(operation) {
                SrvsvcEnumeration(operation: operation, filters: filters, level: level).encode(into: &$0, server: "s")
            }
        }
        return calls
    }

    private static var wkssvc: [UInt8] {
        var calls: [UInt8] = []
        for level: UInt32 in [100, 102] {
            calls += self.call(WkssvcOperation.netrWkstaGetInfo) {
                NetrWkstaGetInfo(level: level).encode(into: &$0, server: "s")
            }
        }
        return calls
    }

    private static var openPolicy: [UInt8] {
        self.call(LsarOperation.openPolicy2) {
            LsarOpenPolicy(desiredAccess: Self.maximumAllowed).encode(into: &$0, server: "s")
        }
    }

    private static var policy: [UInt8] {
        var calls = self.openPolicy
        for level: UInt16 in [3, 5, 6, 12] {
            calls += self.call(LsarOperation.queryInformationPolicy2) {
                RPCQueryCall(handle: Self.first, level: level).encode(into: &$0)
            }
        }
        calls += self.call(LsarOperation.getUserName) {
            LsarGetUserName(wantsDomain: true).encode(into: &$0, server: "s")
        }
        return calls + self.call(LsarOperation.close) { RPCHandleCall(handle: Self.first).encode(into: &$0) }
    }

    private static var lookups: [[UInt8]] {
        [LsarOperation.lookupNames, LsarOperation.lookupSids].map { operation in
            self.openPolicy
                + self.call(operation) {
                    if operation == LsarOperation.lookupNames {
                        LsarLookupNames(handle: Self.first, names: ["alice", "FUZZ\\alice", "Everyone"]).encode(
                            into: &$0)
                    } else {
                        LsarLookupSids(handle: Self.first, sids: [Self.user, Self.domain]).encode(into: &$0)
                    }
                }
        }
    }

    private static var openDomain: [UInt8] {
        self.call(SamrOperation.connect5) {
            SamrConnect.encode(operation: SamrOperation.connect5, server: "s", into: &$0)
        }
            + self.call(SamrOperation.openDomain) {
                SamrOpenDomain(handle: Self.first, desiredAccess: Self.maximumAllowed, sid: Self.domain)
                    .encode(into: &$0)
            }
    }

    private static var domains: [UInt8] {
        self.openDomain
            + self.call(SamrOperation.lookupDomain) {
                SamrLookupDomain(handle: Self.first, name: "FUZZ").encode(into: &$0)
            }
            + self.call(SamrOperation.enumerateDomains) {
                SamrNumbersCall(handle: Self.first, numbers: [0, .max]).encode(into: &$0)
            }
            + self.call(SamrOperation.queryInformationDomain) {
                RPCQueryCall(handle: Self.second, level: 2).encode(into: &$0)
            }
    }

    private static var accounts: [[UInt8]] {
        let third = RPCContextHandle(uuid: GUID(low: 1 << 32 | 3, high: Self.first.uuid.high))
        return [
            self.openDomain
                + self.call(SamrOperation.enumerateUsers) {
                    SamrNumbersCall(handle: Self.second, numbers: [0, 0, .max]).encode(into: &$0)
                }
                + self.call(SamrOperation.lookupNames) {
                    SamrLookupNames(handle: Self.second, names: ["alice"]).encode(into: &$0)
                }
                + self.call(SamrOperation.lookupIDs) {
                    SamrLookupIDs(handle: Self.second, relativeIDs: [1000, 513]).encode(into: &$0)
                }
                + self.call(SamrOperation.getAliasMembership) {
                    SamrGetAliasMembership(handle: Self.second, sids: [Self.user]).encode(into: &$0)
                }
                + self.call(SamrOperation.queryDisplayInformation) {
                    SamrQueryDisplay(
                        handle: Self.second, level: 1, index: 0, entryCount: 10, preferredByteCount: 4000
                    ).encode(into: &$0)
                },
            self.openDomain
                + self.call(SamrOperation.openUser) {
                    SamrNumbersCall(handle: Self.second, numbers: [Self.maximumAllowed, 1000]).encode(into: &$0)
                }
                + self.call(SamrOperation.queryInformationUser) {
                    RPCQueryCall(handle: third, level: 21).encode(into: &$0)
                }
                + self.call(SamrOperation.getGroupsForUser) { RPCHandleCall(handle: third).encode(into: &$0) },
        ]
    }
}
