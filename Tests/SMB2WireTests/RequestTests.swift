import FuzzSubjects
import GoldenMessages
import Testing

@testable import SMB2Wire

/// Golden bytes, round trips and truncations of every request.
@Suite struct RequestTests {
    static let fileID = FileID(persistent: 0x1111_1111_1111_1111, volatile: 0x2222_2222_2222_2222)
    static let clientGUID = GUID(low: 0x7766_5544_3322_1100, high: 0xFFEE_DDCC_BBAA_9988)

    /// Bytes that a request may lack: the one-byte buffer behind READ's fixed part.
    static func spare(_ golden: GoldenRequest) -> Int { golden.name == "read" ? 1 : 0 }

    @Test(arguments: GoldenRequests.all)
    func parsesAndRefusesEveryTruncation(golden: GoldenRequest) throws {
        try golden.bytes.parsed(parseRequest)
        assertEveryTruncationThrows(golden.bytes, upTo: golden.bytes.count - Self.spare(golden), parseRequest)
    }

    @Test(arguments: GoldenRequests.all)
    func refusesAnotherStructureSize(golden: GoldenRequest) {
        var bytes = golden.bytes
        bytes[64] ^= 0x80
        #expect(throws: WireError.self) { try bytes.parsed(parseRequest) }
    }

    @Test func negotiate() throws {
        let golden = GoldenRequests.negotiate
        let request = try NegotiateRequest(parsing: golden.span.bytes)
        #expect(request.dialects == [.smb202, .smb21, .smb30, .smb302, .smb311])
        #expect(request.securityMode == .signingEnabled)
        #expect(request.capabilities.rawValue == 0x7F)
        #expect(request.clientGUID == Self.clientGUID)
        let contexts = try #require(request.contexts)
        #expect(
            contexts.preauthIntegrity
                == PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: [0xDE, 0xAD, 0xBE, 0xEF]))
        #expect(contexts.ciphers == [.aes128GCM, .aes128CCM])
        #expect(contexts.compression == CompressionCapabilities(algorithms: [2], flags: 0))
        #expect(contexts.netName == "node")
        #expect(contexts.signingAlgorithms == [.aesGMAC, .aesCMAC])
        #expect(encoded(.negotiate) { request.encode(into: &$0) } == golden)
    }

    @Test func negotiateOfAnOlderClientHasNoContexts() throws {
        let golden = GoldenRequests.negotiate21
        let request = try NegotiateRequest(parsing: golden.span.bytes)
        #expect(request.dialects == [.smb202, .smb21])
        #expect(request.contexts == nil)
        #expect(encoded(.negotiate) { request.encode(into: &$0) } == golden)
    }

    /// [MS-SMB2] 3.3.5.4: no dialects, a repeated context, an empty list.
    @Test func negotiateRefusesWhatTheSpecificationForbids() {
        var none = GoldenRequests.negotiate21
        none[66] = 0
        #expect(throws: WireError.invalidValue("no dialects")) { try NegotiateRequest(parsing: none.span.bytes) }
        var repeated = GoldenRequests.negotiate
        repeated[64 + 112 - 64 + 24] = 0x01  // the second context, at 136, made another preauth context
        #expect(throws: WireError.self) { try NegotiateRequest(parsing: repeated.span.bytes) }
        var empty = GoldenRequests.negotiate
        empty[136 + 8] = 0
        #expect(throws: WireError.invalidValue("empty list of algorithms")) {
            try NegotiateRequest(parsing: empty.span.bytes)
        }
    }

    @Test func sessionSetup() throws {
        let golden = GoldenRequests.sessionSetup
        let request = try SessionSetupRequest(parsing: golden.span.bytes)
        #expect(request.securityMode == .signingEnabled)
        #expect(request.previousSessionID == 0x1122_3344_5566_7788)
        #expect(!request.isBinding)
        let token = golden.span.bytes.bytes(in: request.securityBuffer)
        #expect(token == hex("6003020104"))
        #expect(encoded(.sessionSetup) { request.encode(into: &$0, token: token.span.bytes) } == golden)
    }

    @Test func treeConnect() throws {
        let golden = GoldenRequests.treeConnect
        let request = try TreeConnectRequest(parsing: golden.span.bytes)
        #expect(try UTF16LE.decode(golden.span.bytes.extracting(request.path)) == #"\\tshare\test"#)
        #expect(encoded(.treeConnect) { request.encode(into: &$0, path: #"\\tshare\test"#) } == golden)
    }

    /// 2.2.9.1: the path stands behind the extension; its contexts are not read.
    @Test func treeConnectWithTheExtensionForm() throws {
        let bytes = message(
            0x03, hex("0900 0400 5800 0800 00000000 0000 00000000000000000000") + utf16(#"\\a\"#))
        let request = try TreeConnectRequest(parsing: bytes.span.bytes)
        #expect(request.flags == .extensionPresent)
        #expect(try UTF16LE.decode(bytes.span.bytes.extracting(request.path)) == #"\\a\"#)
    }

    @Test func create() throws {
        let golden = GoldenRequests.create
        let request = try CreateRequest(parsing: golden.span.bytes)
        #expect(request.oplockLevel == .batch)
        #expect(request.impersonationLevel == .impersonation)
        #expect(request.desiredAccess == .fileGenericRead)
        #expect(request.fileAttributes == .normal)
        #expect(request.shareAccess == .all)
        #expect(request.disposition == .open)
        #expect(request.options == .nonDirectoryFile)
        #expect(request.contexts == CreateContexts())
        #expect(try UTF16LE.decode(golden.span.bytes.extracting(request.name)) == #"dir\a.tx"#)
        #expect(encoded(.create) { request.encode(into: &$0, name: #"dir\a.tx"#) } == golden)
        var bad = golden
        bad[64 + 36] = 6
        #expect(throws: WireError.invalidValue("CreateDisposition")) { try CreateRequest(parsing: bad.span.bytes) }
    }

    @Test func createOfTheRootRoundTrips() throws {
        let request = CreateRequest(desiredAccess: .readAttributes, shareAccess: .all, disposition: .open)
        let bytes = encoded(.create) { request.encode(into: &$0, name: "") }
        #expect(bytes.count == 64 + 57)
        let parsed = try CreateRequest(parsing: bytes.span.bytes)
        #expect(parsed.name.isEmpty)
        #expect(parsed.desiredAccess == .readAttributes)
    }

    @Test func createContexts() throws {
        let golden = GoldenRequests.createWithContexts
        let request = try CreateRequest(parsing: golden.span.bytes)
        let contexts = request.contexts
        let createGUID = GUID(low: 0xC7C6_C5C4_C3C2_C1C0, high: 0xCFCE_CDCC_CBCA_C9C8)
        #expect(contexts.durableRequest)
        #expect(contexts.durableReconnect == Self.fileID)
        #expect(
            contexts.durableRequestV2
                == DurableRequestV2(timeoutMilliseconds: 60_000, flags: 2, createGUID: createGUID))
        #expect(contexts.durableRequestV2?.isPersistent == true)
        #expect(
            contexts.durableReconnectV2 == DurableReconnectV2(fileID: Self.fileID, createGUID: createGUID, flags: 2))
        #expect(
            contexts.lease
                == LeaseContext(
                    key: GUID(low: 0xA7A6_A5A4_A3A2_A1A0, high: 0xAFAE_ADAC_ABAA_A9A8),
                    state: [.readCaching, .handleCaching, .writeCaching], flags: LeaseContext.parentLeaseKeySetFlag,
                    version2: .init(parentKey: GUID(low: 0xB7B6_B5B4_B3B2_B1B0, high: 0xBFBE_BDBC_BBBA_B9B8), epoch: 5))
        )
        #expect(contexts.maximalAccess == .zero)
        #expect(contexts.queryOnDiskID)
        #expect(contexts.allocationSize == 0x10_0000)
        #expect(contexts.timeWarp?.ticks == 0x0807_0605_0403_0201)
        #expect(contexts.appInstanceID == GUID(low: 0xD7D6_D5D4_D3D2_D1D0, high: 0xDFDE_DDDC_DBDA_D9D8))
        #expect(contexts.appInstanceVersion == AppInstanceVersion(high: 1, low: 2))
        let eaRange = try #require(contexts.extendedAttributes)
        let eas = golden.span.bytes.bytes(in: eaRange)
        #expect(try ExtendedAttribute.parseList(eas.span.bytes) == [ExtendedAttribute(name: [0x41], value: [7, 8])])
        let sdRange = try #require(contexts.securityDescriptor)
        let sd = golden.span.bytes.bytes(in: sdRange)
        #expect(try SecurityDescriptor(parsing: sd.span.bytes).owner == .everyone)
        #expect(
            encoded(.create) {
                request.encode(into: &$0, name: "a.b", extendedAttributes: eas, securityDescriptor: sd)
            } == golden)
    }

    static func create(contexts: [UInt8]) -> [UInt8] {
        var bytes = GoldenRequests.create
        let offset = bytes.count
        bytes[64 + 48] = UInt8(offset)
        bytes[64 + 52] = UInt8(contexts.count)
        return bytes + contexts
    }

    @Test(arguments: [
        ("a name of three bytes", "00000000 1000 0300 0000 0000 00000000 44486E00 00000000"),
        ("a length not its section's", "00000000 1000 0400 0000 1800 08000000 44486E51 00000000 0000000000000000"),
        ("a name beyond the context", "00000000 1000 0900 0000 0000 00000000 44486E51 00000000"),
        ("data over the name", "00000000 1000 0400 0000 1000 08000000 416C5369 00000000"),
        ("data not aligned", "00000000 1000 0400 0000 1400 08000000 416C5369 00000000 00000000"),
        ("Next not aligned", "1C000000 1000 0400 0000 0000 00000000 51466964 00000000 00000000"),
        ("Next beyond the end", "20000000 1000 0400 0000 0000 00000000 51466964 00000000"),
        ("Next within its own head", "08000000 1000 0400 0000 0000 00000000 51466964 00000000"),
        (
            "the same context twice",
            "18000000 1000 0400 0000 0000 00000000 51466964 00000000 00000000 1000 0400 0000 0000 00000000 51466964 00000000"
        ),
    ])
    func malformedCreateContextsAreRefused(what: String, contexts: String) {
        let bytes = Self.create(contexts: hex(contexts))
        #expect(throws: WireError.self, "\(what)") { try CreateRequest(parsing: bytes.span.bytes) }
    }

    @Test func unknownCreateContextsAreSkippedAndOpaqueOnesKept() throws {
        let bytes = Self.create(
            contexts: hex(
                """
                20000000 1000 0400 0000 1800 08000000 7A7A7A7A 00000000 0102030405060708
                28000000 1000 1000 0000 2000 04000000 93AD25509CB411E7B42383DE968BCD7C A4010000 00000000
                00000000 1000 0400 0000 1800 08000000 4141504C 00000000 0900000000000000
                """))
        let contexts = try CreateRequest(parsing: bytes.span.bytes).contexts
        #expect(contexts.posix == POSIXCreateRequest(mode: 0o644))
        #expect(contexts.apple == .unknown(9))
    }

    @Test func tooManyCreateContextsAreRefused() {
        var contexts: [UInt8] = []
        for index in 0..<33 {
            contexts += hex("\(index == 32 ? "00" : "18")000000 1000 0400 0000 0000 00000000 7A7A7A7A 00000000")
        }
        #expect(throws: WireError.limitExceeded("create contexts")) {
            try contexts.parsed { s throws(WireError) in try CreateContexts(parsing: s, in: 0..<s.byteCount) }
        }
    }

    @Test func handlesOnly() throws {
        let close = try GoldenRequests.close.parsed(CloseRequest.init(parsing:))
        #expect(close == CloseRequest(flags: 1, fileID: Self.fileID))
        #expect(close.wantsAttributes)
        #expect(encoded(.close) { close.encode(into: &$0) } == GoldenRequests.close)
        let flush = try GoldenRequests.flush.parsed(FlushRequest.init(parsing:))
        #expect(flush.fileID == Self.fileID)
        #expect(encoded(.flush) { flush.encode(into: &$0) } == GoldenRequests.flush)
    }

    @Test func readAndWrite() throws {
        let read = try GoldenRequests.read.parsed(ReadRequest.init(parsing:))
        #expect(read == ReadRequest(fileID: Self.fileID, offset: 0x100, length: 0x10_0000, minimumCount: 1))
        #expect(encoded(.read) { read.encode(into: &$0) } == GoldenRequests.read)

        let golden = GoldenRequests.write
        let write = try WriteRequest(parsing: golden.span.bytes)
        #expect(write.offset == 0x1000)
        #expect(write.fileID == Self.fileID)
        #expect(write.isWriteThrough)
        #expect(golden.span.bytes.bytes(in: write.data) == Array("hello".utf8))
        #expect(encoded(.write) { write.encode(into: &$0, data: Array("hello".utf8).span.bytes) } == golden)
        var overlapping = golden
        overlapping[66] = 0x6F
        #expect(throws: WireError.outOfBounds("WRITE data")) { try WriteRequest(parsing: overlapping.span.bytes) }
    }

    @Test func locks() throws {
        let lock = try GoldenRequests.lock.parsed(LockRequest.init(parsing:))
        #expect(
            lock
                == LockRequest(
                    fileID: Self.fileID,
                    locks: [
                        LockElement(offset: 0, length: 10, flags: [.exclusive, .failImmediately]),
                        LockElement(offset: 100, length: 1, flags: .shared),
                    ], sequenceNumber: 3, sequenceIndex: 2))
        #expect(lock.locks.allSatisfy { $0.hasValidFlags })
        #expect(!LockElement(offset: 0, length: 0, flags: [.shared, .exclusive]).hasValidFlags)
        #expect(!LockElement(offset: 0, length: 0, flags: [.unlock, .failImmediately]).hasValidFlags)
        #expect(encoded(.lock) { lock.encode(into: &$0) } == GoldenRequests.lock)
        var none = GoldenRequests.lock
        none[66] = 0
        #expect(throws: WireError.invalidValue("no locks")) { try LockRequest(parsing: none.span.bytes) }
    }

    @Test func ioctls() throws {
        let golden = GoldenRequests.ioctl
        let request = try IoctlRequest(parsing: golden.span.bytes)
        #expect(request.code == .validateNegotiateInfo)
        #expect(request.fileID == .related)
        #expect(request.isFSCTL)
        #expect(request.maximumOutputResponse == 24)
        let input = golden.span.bytes.bytes(in: request.input)
        let info = try ValidateNegotiateInfoRequest(parsing: input.span.bytes)
        #expect(info.dialects == [.smb30, .smb302])
        #expect(info.clientGUID == Self.clientGUID)
        #expect(written { info.encode(into: &$0) } == input)
        #expect(encoded(.ioctl) { request.encode(into: &$0, input: input.span.bytes) } == golden)
    }

    @Test func copyChunks() throws {
        let golden = GoldenRequests.ioctlCopyChunk
        let request = try IoctlRequest(parsing: golden.span.bytes)
        #expect(request.code == .srvCopyChunkWrite)
        let input = golden.span.bytes.bytes(in: request.input)
        let copy = try CopyChunkRequest(parsing: input.span.bytes)
        #expect(copy.chunks.count == 2)
        #expect(copy.chunks[1] == .init(sourceOffset: 0x20_0000, targetOffset: 0x30_0000, length: 0x1234))
        #expect(written { copy.encode(into: &$0) } == input)
        var many = input
        many.replaceSubrange(24..<28, with: hex("01010000"))
        #expect(throws: WireError.limitExceeded("copy chunks")) { try CopyChunkRequest(parsing: many.span.bytes) }
    }

    @Test func directoriesAndNotifications() throws {
        let golden = GoldenRequests.queryDirectory
        let request = try QueryDirectoryRequest(parsing: golden.span.bytes)
        #expect(request.informationClass == .idBothDirectory)
        #expect(request.flags == .restartScans)
        #expect(request.outputBufferLength == 0x1_0000)
        #expect(try UTF16LE.decode(golden.span.bytes.extracting(request.pattern)) == "*")
        #expect(encoded(.queryDirectory) { request.encode(into: &$0, pattern: "*") } == golden)

        let notify = try GoldenRequests.changeNotify.parsed(ChangeNotifyRequest.init(parsing:))
        #expect(
            notify
                == ChangeNotifyRequest(
                    fileID: Self.fileID, filter: [.fileName, .directoryName, .attributes, .lastWrite],
                    watchesTree: true, outputBufferLength: 4096))
        #expect(encoded(.changeNotify) { notify.encode(into: &$0) } == GoldenRequests.changeNotify)
    }

    @Test func information() throws {
        let query = try GoldenRequests.queryInfo.parsed(QueryInfoRequest.init(parsing:))
        #expect(query.infoType == .file)
        #expect(query.informationClassCode == FileInformationClass.fullEA.rawValue)
        #expect(query.flags == QueryInfoRequest.restartScanFlag)
        let input = Array(GoldenRequests.queryInfo[query.input])
        #expect(try ExtendedAttribute.parseNameList(input.span.bytes) == [Array("ABC".utf8)])
        #expect(
            encoded(.queryInfo) { query.encode(into: &$0, input: input.span.bytes) } == GoldenRequests.queryInfo)

        let set = try GoldenRequests.setInfoRename.parsed(SetInfoRequest.init(parsing:))
        #expect(set.informationClassCode == FileInformationClass.rename.rawValue)
        let buffer = Array(GoldenRequests.setInfoRename[set.buffer])
        let rename = try RenameInformation(parsing: buffer.span.bytes)
        #expect(rename.replaceIfExists)
        #expect(try UTF16LE.decode(buffer.span.bytes.extracting(rename.name)) == "new")
        #expect(
            encoded(.setInfo) { set.encode(into: &$0, buffer: buffer.span.bytes) } == GoldenRequests.setInfoRename)
        #expect(written { rename.encode(into: &$0, name: "new") } == buffer)
    }

    @Test func breaks() throws {
        let oplock = try GoldenRequests.oplockBreak.parsed(BreakAcknowledgement.init(parsing:))
        #expect(oplock == .oplock(OplockBreak(level: .levelII, fileID: Self.fileID)))
        let lease = try GoldenRequests.leaseBreak.parsed(BreakAcknowledgement.init(parsing:))
        let key = GUID(low: 0xA7A6_A5A4_A3A2_A1A0, high: 0xAFAE_ADAC_ABAA_A9A8)
        #expect(lease == .lease(LeaseBreakAcknowledgement(leaseKey: key, state: .readCaching)))
        #expect(
            encoded(.oplockBreak) { OplockBreak(level: .levelII, fileID: Self.fileID).encode(into: &$0) }
                == GoldenRequests.oplockBreak)
        #expect(
            encoded(.oplockBreak) { LeaseBreakAcknowledgement(leaseKey: key, state: .readCaching).encode(into: &$0) }
                == GoldenRequests.leaseBreak)
    }
}
