import SMB2Wire
import SMBServerCore
import Testing

/// Whatever a client sends, the server lives, and goes on serving the others.
@Suite struct FuzzTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            // SplitMix64.
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var z = self.state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    private func messages(_ client: TestClient, _ file: FileID) -> [[UInt8]] {
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 0, flags: 2, createGUID: GUID(low: 9, high: 9))
        contexts.maximalAccess = .zero
        contexts.queryOnDiskID = true
        contexts.lease = LeaseContext(
            key: GUID(low: 1, high: 2), state: .all, version2: .init(parentKey: .zero, epoch: 3))
        return [
            client.createMessage("b:stream", contexts: contexts),
            client.message(.read) { ReadRequest(fileID: file, offset: 0, length: 10).encode(into: &$0) },
            client.message(.write) {
                WriteRequest(fileID: file, offset: 0).encode(into: &$0, data: [1, 2, 3].span.bytes)
            },
            client.message(.lock) {
                LockRequest(
                    fileID: file, locks: [LockElement(offset: 0, length: 1, flags: .exclusive)], sequenceNumber: 1,
                    sequenceIndex: 1
                ).encode(into: &$0)
            },
            client.message(.flush) { FlushRequest(fileID: file).encode(into: &$0) },
            client.message(.ioctl) {
                IoctlRequest(code: .queryNetworkInterfaceInfo, fileID: .related, maximumOutputResponse: 4096)
                    .encode(into: &$0, input: [1, 2].span.bytes)
            },
            client.message(.sessionSetup) {
                SessionSetupRequest(securityMode: .signingEnabled).encode(into: &$0, token: [65].span.bytes)
            },
            client.message(.treeConnect) { TreeConnectRequest().encode(into: &$0, path: "\\\\s\\ca") },
            client.message(.oplockBreak) { OplockBreak(level: .levelII, fileID: file).encode(into: &$0) },
            client.message(.oplockBreak) {
                LeaseBreakAcknowledgement(leaseKey: GUID(low: 1, high: 2), state: .readCaching).encode(into: &$0)
            },
            client.message(.close) { CloseRequest(fileID: file).encode(into: &$0) },
            client.message(.echo) { EchoRequest().encode(into: &$0) },
            client.message(.logoff) { LogoffRequest().encode(into: &$0) },
        ]
    }

    @Test(arguments: UInt64(0)..<150)
    func mutatedRequestsHarmNobodyElse(seed: UInt64) throws {
        var random = Random(state: seed)
        let server = TestServer()
        let bystander = try TestClient.ready(server, user: "bob", guid: GUID(low: 77, high: 77))
        let kept = try bystander.open("kept", share: .read)
        for _ in 0..<20 {
            let client = try TestClient.ready(server, share: Bool.random(using: &random) ? "ca" : "test")
            let file = try #require(try client.create("a", oplock: .batch).create).fileID
            for message in self.messages(client, file) {
                var mutated = message
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let index = Int.random(in: 0..<mutated.count, using: &random)
                    // The sequence window would end the connection: leave the message id alone most of the time.
                    if (24..<32).contains(index), Int.random(in: 0..<10, using: &random) > 0 { continue }
                    mutated[index] =
                        [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)][
                            Int.random(in: 0..<6, using: &random)]
                }
                if Int.random(in: 0..<8, using: &random) == 0 {
                    mutated.removeLast(Int.random(in: 1...mutated.count, using: &random))
                }
                let replies = server.exchange(client.connection, [mutated])
                if replies.contains(where: { $0.disconnect != nil }) { break }
            }
            client.disconnect()
        }
        #expect(try bystander.write(kept).status == .success)
        #expect(try bystander.close(kept) == .success)
    }
}
