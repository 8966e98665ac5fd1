import GoldenMessages
import Testing

@testable import SMB2Wire

/// Golden bytes, round trips and truncations of every response.
@Suite struct ResponseTests {
    static let fileID = RequestTests.fileID
    static let information = NetworkOpenInformation(
        creationTime: FileTime(ticks: 0x0101), lastAccessTime: FileTime(ticks: 0x0202),
        lastWriteTime: FileTime(ticks: 0x0303), changeTime: FileTime(ticks: 0x0404), allocationSize: 0x1000,
        endOfFile: 0x0505, attributes: .archive)
    static let informationBytes =
        "0101000000000000 0202000000000000 0303000000000000 0404000000000000 0010000000000000 0505000000000000 20000000"

    @Test func negotiate() throws {
        var contexts = NegotiateContexts()
        contexts.preauthIntegrity = PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: [1, 2, 3, 4])
        contexts.ciphers = [.aes128GCM]
        contexts.signingAlgorithms = [.aesGMAC]
        let response = NegotiateResponse(
            securityMode: [.signingEnabled, .signingRequired], dialect: .smb311,
            serverGUID: RequestTests.clientGUID, capabilities: [.dfs, .largeMTU, .persistentHandles],
            maximumTransactSize: 0x80_0000, maximumReadSize: 0x80_0000, maximumWriteSize: 0x80_0000,
            systemTime: FileTime(ticks: 0x1234), securityBuffer: [0x60, 0x01, 0x02], contexts: contexts)
        let golden = message(
            0,
            hex(
                """
                4100 0300 1103 0300 00112233445566778899AABBCCDDEEFF 15000000
                00008000 00008000 00008000 3412000000000000 0000000000000000
                8000 0300 88000000 600102 0000000000
                0100 0A00 00000000 0100 0400 0100 01020304 000000000000
                0200 0400 00000000 0100 0200 00000000
                0800 0400 00000000 0100 0200
                """), response: true)
        #expect(encoded(.negotiate, response: true) { response.encode(into: &$0) } == golden)
        #expect(try golden.parsed(NegotiateResponse.init(parsing:)) == response)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try NegotiateResponse(parsing: s) }
    }

    @Test func sessionSetup() throws {
        let golden = message(1, hex("0900 0400 4800 0300 A10102"), response: true)
        let response = try golden.parsed(SessionSetupResponse.init(parsing:))
        #expect(response.flags == .encryptData)
        #expect(Array(golden[response.securityBuffer]) == hex("A10102"))
        #expect(
            encoded(.sessionSetup, response: true) { response.encode(into: &$0, token: hex("A10102").span.bytes) }
                == golden)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try SessionSetupResponse(parsing: s) }
    }

    @Test func treeConnect() throws {
        let golden = message(3, hex("1000 01 00 00080000 10000000 FF011F00"), response: true)
        let response = TreeConnectResponse(
            shareType: .disk, shareFlags: .accessBasedEnumeration, capabilities: .continuousAvailability,
            maximalAccess: .fileAll)
        #expect(encoded(.treeConnect, response: true) { response.encode(into: &$0) } == golden)
        #expect(try golden.parsed(TreeConnectResponse.init(parsing:)) == response)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try TreeConnectResponse(parsing: s) }
    }

    @Test func empties() throws {
        let golden = message(0x0D, hex("0400 0000"), response: true)
        #expect(encoded(.echo, response: true) { EchoResponse().encode(into: &$0) } == golden)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try EchoResponse(parsing: s) }
        let setInfo = message(0x11, hex("0200"), response: true)
        #expect(encoded(.setInfo, response: true) { SetInfoResponse().encode(into: &$0) } == setInfo)
        assertEveryTruncationThrows(setInfo) { s throws(WireError) in _ = try SetInfoResponse(parsing: s) }
    }

    @Test func create() throws {
        let plain = message(
            5, hex("5900 00 00 01000000 \(Self.informationBytes) 00000000 \(RequestTests.idText) 00000000 00000000"),
            response: true)
        let response = CreateResponse(
            oplockLevel: .none, action: .opened, information: Self.information, fileID: Self.fileID)
        #expect(encoded(.create, response: true) { response.encode(into: &$0) } == plain)
        #expect(try plain.parsed(CreateResponse.init(parsing:)) == response)
        assertEveryTruncationThrows(plain) { s throws(WireError) in _ = try CreateResponse(parsing: s) }
    }

    @Test func createWithContexts() throws {
        var contexts = CreateResponseContexts()
        contexts.maximalAccess = .init(status: .success, access: .fileAll)
        contexts.onDiskID = .init(fileID: 0x11, volumeID: 0x22)
        contexts.lease = LeaseContext(key: RequestTests.clientGUID, state: .readCaching)
        contexts.durable = true
        contexts.durableV2 = DurableResponseV2(timeoutMilliseconds: 60_000, flags: DurableRequestV2.persistentFlag)
        let response = CreateResponse(
            oplockLevel: .lease, action: .created, information: Self.information, fileID: Self.fileID,
            contexts: contexts)
        let golden = message(
            5,
            hex(
                """
                5900 FF 00 02000000 \(Self.informationBytes) 00000000 \(RequestTests.idText) 98000000 D0000000
                20000000 1000 0400 0000 1800 08000000 4D784163 00000000 00000000 FF011F00
                38000000 1000 0400 0000 1800 20000000 51466964 00000000
                1100000000000000 2200000000000000 00000000000000000000000000000000
                38000000 1000 0400 0000 1800 20000000 52714C73 00000000
                00112233445566778899AABBCCDDEEFF 01000000 00000000 0000000000000000
                20000000 1000 0400 0000 1800 08000000 44486E51 00000000 0000000000000000
                00000000 1000 0400 0000 1800 08000000 44483251 00000000 60EA0000 02000000
                """), response: true)
        #expect(encoded(.create, response: true) { response.encode(into: &$0) } == golden)
        let parsed = try golden.parsed(CreateResponse.init(parsing:))
        #expect(parsed == response)
        #expect(parsed.contexts.durableV2?.isPersistent == true)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try CreateResponse(parsing: s) }
    }

    @Test func close() throws {
        let golden = message(6, hex("3C00 0100 00000000 \(Self.informationBytes)"), response: true)
        let response = CloseResponse(attributes: Self.information)
        #expect(encoded(.close, response: true) { response.encode(into: &$0) } == golden)
        #expect(try golden.parsed(CloseResponse.init(parsing:)) == response)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try CloseResponse(parsing: s) }
        let bare = message(6, hex("3C00") + [UInt8](repeating: 0, count: 58), response: true)
        #expect(encoded(.close, response: true) { CloseResponse(attributes: nil).encode(into: &$0) } == bare)
        #expect(try bare.parsed(CloseResponse.init(parsing:)).attributes == nil)
    }

    @Test func readAndWrite() throws {
        let read = message(8, hex("1100 5000 03000000 07000000 00000000 616263"), response: true)
        let response = try read.parsed(ReadResponse.init(parsing:))
        #expect(response == ReadResponse(dataLength: 3, remaining: 7))
        #expect(Array(read[response.data]) == Array("abc".utf8))
        #expect(
            encoded(.read, response: true) {
                response.encode(into: &$0)
                $0.append(Array("abc".utf8))
            } == read)
        assertEveryTruncationThrows(read) { s throws(WireError) in _ = try ReadResponse(parsing: s) }

        let write = message(9, hex("1100 0000 05000000 00000000 0000 0000"), response: true)
        #expect(encoded(.write, response: true) { WriteResponse(count: 5).encode(into: &$0) } == write)
        #expect(try write.parsed(WriteResponse.init(parsing:)).count == 5)
        assertEveryTruncationThrows(write) { s throws(WireError) in _ = try WriteResponse(parsing: s) }
    }

    @Test func ioctl() throws {
        let golden = message(
            0x0B,
            hex(
                """
                3100 0000 04021400 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 70000000 00000000 70000000 18000000 00000000 00000000
                15000000 00112233445566778899AABBCCDDEEFF 0300 0203
                """), response: true)
        let info = ValidateNegotiateInfoResponse(
            capabilities: [.dfs, .largeMTU, .persistentHandles], serverGUID: RequestTests.clientGUID,
            securityMode: [.signingEnabled, .signingRequired], dialect: .smb302)
        let response = IoctlResponse(code: .validateNegotiateInfo, fileID: .related)
        #expect(
            encoded(.ioctl, response: true) {
                let begun = response.begin(&$0)
                info.encode(into: &$0)
                IoctlResponse.end(&$0, begun: begun)
            } == golden)
        let parsed = try golden.parsed(IoctlResponse.init(parsing:))
        #expect(parsed.code == .validateNegotiateInfo)
        let output = Array(golden[parsed.output])
        #expect(try output.parsed(ValidateNegotiateInfoResponse.init(parsing:)) == info)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try IoctlResponse(parsing: s) }
    }

    @Test func outputBuffers() throws {
        let golden = message(0x10, hex("0900 4800 02000000 ABCD"), response: true)
        #expect(
            encoded(.queryInfo, response: true) {
                QueryInfoResponse.encode(into: &$0, buffer: hex("ABCD").span.bytes)
            } == golden)
        #expect(try golden.parsed(QueryInfoResponse.init(parsing:)).buffer == 72..<74)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try QueryInfoResponse(parsing: s) }
        let empty = message(0x0F, hex("0900 0000 00000000"), response: true)
        #expect(
            encoded(.changeNotify, response: true) {
                ChangeNotifyResponse.encode(into: &$0, buffer: [UInt8]().span.bytes)
            } == empty)
        #expect(try empty.parsed(ChangeNotifyResponse.init(parsing:)).buffer.isEmpty)
    }

    @Test func leaseBreakNotification() throws {
        let golden = message(
            0x12,
            hex(
                """
                2C00 0600 01000000 00112233445566778899AABBCCDDEEFF 07000000 03000000 00000000 00000000 00000000
                """), response: true)
        let notification = LeaseBreakNotification(
            newEpoch: 6, flags: LeaseBreakNotification.acknowledgeRequired, leaseKey: RequestTests.clientGUID,
            currentState: [.readCaching, .handleCaching, .writeCaching], newState: [.readCaching, .handleCaching])
        #expect(encoded(.oplockBreak, response: true) { notification.encode(into: &$0) } == golden)
        #expect(try golden.parsed(LeaseBreakNotification.init(parsing:)) == notification)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try LeaseBreakNotification(parsing: s) }
    }

    // MARK: FSCTL answers and inputs

    @Test func networkInterfaces() throws {
        let interfaces = [
            NetworkInterfaceInfo(
                interfaceIndex: 2, capability: NetworkInterfaceInfo.rssCapable,
                linkSpeedBitsPerSecond: 10_000_000_000, address: [10, 0, 0, 1]),
            NetworkInterfaceInfo(
                interfaceIndex: 3, capability: 0, linkSpeedBitsPerSecond: 1, address: (0..<16).map { UInt8($0) }),
        ]
        let golden =
            hex("98000000 02000000 01000000 00000000 00E40B5402000000 0200 0000 0A000001")
            + [UInt8](repeating: 0, count: 120)
            + hex(
                "00000000 03000000 00000000 00000000 0100000000000000 1700 0000 00000000 000102030405060708090A0B0C0D0E0F"
            )
            + [UInt8](repeating: 0, count: 104)
        #expect(written { NetworkInterfaceInfo.encode(interfaces, into: &$0) } == golden)
        #expect(try golden.parsed(NetworkInterfaceInfo.parseList) == interfaces)
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try NetworkInterfaceInfo.parseList(s) }
    }

    @Test func resumeKeysAndCopies() throws {
        let key = ResumeKey(1, 2, 3)
        let golden = hex("0100000000000000 0200000000000000 0300000000000000 00000000 00000000")
        #expect(written { key.encodeResponse(into: &$0) } == golden)
        #expect(try golden.parsed(ResumeKey.init(parsing:)) == key)
        let copied = hex("00010000 00001000 00000001")
        #expect(written { CopyChunkResponse.limits.encode(into: &$0) } == copied)
        #expect(try copied.parsed(CopyChunkResponse.init(parsing:)) == .limits)
        assertEveryTruncationThrows(copied) { s throws(WireError) in _ = try CopyChunkResponse(parsing: s) }
    }

    @Test func ranges() throws {
        let golden = hex("0010000000000000 0000100000000000")
        let range = FileRange(offset: 0x1000, length: 0x10_0000)
        #expect(try golden.parsed(FileRange.init(parsing:)) == range)
        #expect(written { range.encode(into: &$0) } == golden)
        #expect(try (golden + golden).parsed(FileRange.parseList) == [range, range])
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try FileRange(parsing: s) }
        for bad in [
            "00000000000000800000000000000000", "0000000000000000FFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFF7F0100000000000000",
        ] {
            #expect(throws: WireError.self) { try hex(bad).parsed(FileRange.init(parsing:)) }
        }
        let zero = try golden.parsed(ZeroDataInformation.init(parsing:))
        #expect(zero == ZeroDataInformation(offset: 0x1000, beyondFinalZero: 0x10_0000))
        #expect(written { zero.encode(into: &$0) } == golden)
        #expect(throws: WireError.self) {
            try hex("0200000000000000 0100000000000000").parsed(ZeroDataInformation.init(parsing:))
        }
        assertEveryTruncationThrows(golden) { s throws(WireError) in _ = try ZeroDataInformation(parsing: s) }
    }

    @Test func smallInputs() throws {
        func sparse(_ bytes: [UInt8]) throws -> Bool {
            try bytes.parsed { s throws(WireError) in SetSparse(parsing: s).isSparse }
        }
        #expect(try sparse([]))
        #expect(try sparse([1]))
        #expect(try !sparse([0]))

        let resiliency = hex("60EA0000 00000000")
        #expect(try resiliency.parsed(ResiliencyRequest.init(parsing:)).timeoutMilliseconds == 60_000)
        #expect(written { ResiliencyRequest(timeoutMilliseconds: 60_000).encode(into: &$0) } == resiliency)
        assertEveryTruncationThrows(resiliency) { s throws(WireError) in _ = try ResiliencyRequest(parsing: s) }

        let referral = hex("0400") + utf16("\\a\\b\u{0}")
        #expect(
            try referral.parsed(DFSReferralRequest.init(parsing:))
                == DFSReferralRequest(maximumReferralLevel: 4, path: #"\a\b"#))
        #expect(
            written { DFSReferralRequest(maximumReferralLevel: 4, path: #"\a\b"#).encode(into: &$0) } == referral)
        assertEveryTruncationThrows(referral) { s throws(WireError) in _ = try DFSReferralRequest(parsing: s) }

        let wait = hex("1000000000000000 0C000000 01 00") + utf16("srvsvc")
        #expect(try wait.parsed(PipeWaitRequest.init(parsing:)) == PipeWaitRequest(timeout: 16, name: "srvsvc"))
        #expect(written { PipeWaitRequest(timeout: 16, name: "srvsvc").encode(into: &$0) } == wait)
        assertEveryTruncationThrows(wait) { s throws(WireError) in _ = try PipeWaitRequest(parsing: s) }

        let clone = hex("\(RequestTests.idText) 0010000000000000 0020000000000000 0030000000000000")
        let extents = DuplicateExtents(
            sourceFileID: Self.fileID, sourceOffset: 0x1000, targetOffset: 0x2000, byteCount: 0x3000)
        #expect(try clone.parsed(DuplicateExtents.init(parsing:)) == extents)
        #expect(written { extents.encode(into: &$0) } == clone)
        assertEveryTruncationThrows(clone) { s throws(WireError) in _ = try DuplicateExtents(parsing: s) }
    }

    // MARK: Notifications

    @Test func notifications() throws {
        let entries = [
            FileNotifyInformation(action: .added, name: "abc"),
            FileNotifyInformation(action: .renamedNewName, name: #"d\x"#),
        ]
        let golden =
            hex("14000000 01000000 06000000") + utf16("abc") + [0, 0]
            + hex("00000000 05000000 06000000") + utf16(#"d\x"#)
        var writer = WireWriter()
        writer.append(UInt16(0))  // alignment is relative to the list
        #expect(FileNotifyInformation.encode(entries, into: &writer, limit: golden.count))
        #expect(Array(writer.bytes[2...]) == golden)
        #expect(try golden.parsed(FileNotifyInformation.parseList) == entries)
        assertEveryTruncationThrows(Array(golden[...])) { s throws(WireError) in
            // Nothing at all is a list of nothing.
            guard s.byteCount > 0 else { throw .truncated("empty") }
            _ = try FileNotifyInformation.parseList(s)
        }
        #expect(!FileNotifyInformation.encode(entries, into: &writer, limit: golden.count - 1))
        #expect(writer.count == 2 + golden.count)
    }
}

extension RequestTests {
    static let idText = GoldenRequests.fileID
}
