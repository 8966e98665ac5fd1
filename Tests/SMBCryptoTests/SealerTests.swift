import Testing

@testable import SMBCrypto

/// Known answers of Microsoft's Open Specifications blog, "Encryption in SMB 3.0: A protocol perspective" and
/// "SMB 3.1.1 Encryption in Windows 10".
@Suite struct SealerTests {
    struct Example: Sendable, CustomTestStringConvertible {
        var testDescription: String { "\(self.algorithm)" }
        var algorithm: SealingAlgorithm
        var sessionKey: String
        var dialect: UInt16
        var preauth = ""
        var request: String
        var sealedRequest: String
        var sealedResponse: String
        var response: String
    }

    static let examples = [
        Example(
            algorithm: .aes128CCM, sessionKey: "B4546771B515F766A86735532DD6C4F0", dialect: 0x0300,
            request: """
                FE534D4240000100000000000900400008000000000000000400000000000000
                FFFE0000010000001100001400E4080000000000000000000000000000000000
                3100700017000000000000000000000015010000390000020100000039020000
                00000000000000007000000000000000536D623320656E6372797074696F6E20
                74657374696E67
                """,
            sealedRequest: """
                FD534D4281A286535415445DAE393921E44FA42E66E69A111892584FB5ED524A
                744DA3EE87000000000001001100001400E4080025C8FEE16605A437832D1CD5
                2DA9F4645333482A175FE5384563F45FCDAFAEF38BC62BA4D5C62897996625A4
                4C29BE5658DE2E6117585779E7B59FFD971278D08580D7FA899E410E910EABF5
                AA1DB43050B33B49182637759AC15D84BFCDF5B6B238993C0F4CF4D6012023F6
                C627297075D84B7803912D0A9639634453595EF3E33FFE4E7AC2AB
                """,
            sealedResponse: """
                FD534D42A6015530A18F6D9AFFE22AFAE8E66484860000000000000011000014
                00E4080050000000000001001100001400E40800DBF46435C5F14169293CE079
                E344479BF670227E49873F458672C3098DAC467DD5809F369D67409166515787
                1483E01F7BECD02064EAC3E235F913668BBC2F097980D4B378F1993EFF6E60D1
                77309E5B
                """,
            response: """
                FE534D4240000100000000000900210009000000000000000400000000000000
                FFFE0000010000001100001400E4080000000000000000000000000000000000
                11000000170000000000000000000000
                """),
        Example(
            algorithm: .aes128GCM, sessionKey: "419FDDF34C1E001909D362AE7FB6AF79", dialect: 0x0311,
            preauth: """
                B23F3CBFD69487D9832B79B1594A367CDD950909B774C3A4C412B4FCEA9EDDDBA7DB256BA2EA30E9
                77F11F9B113247578E0E915C6D2A513B8F2FCA5707DC8770
                """,
            request: """
                FE534D4240000100000000000900010008000000000000000500000000000000FFFE000001000000
                25000000001000000000000000000000000000000000000031007000170000000000000000000000
                0600000004000000010000000400000000000000000000007000000000000000536D623320656E63
                72797074696F6E2074657374696E67
                """,
            sealedRequest: """
                FD534D42BD73D97D2BC9001BCAFAC0FDFF5FEEBCC7D6822D269CAF48904C664C0000000087000000
                0000010025000000001000006ECDD2A7AFC7B47763057A041B8FD4DAFFE990B70C9E09D36C084E02
                D14EF247F8BDE38ACF6256F8B1D3B56F77FBDEB312FEA5E92CBCC1ED8FB2EBBFAA75E49A4A394BB4
                4576545567C24D4C014D47C9FBDFDAFD2C4F9B72F8D256452620A299F48E29E53D6B61D1C13A19E9
                1AF013F00D17E3ABC2FC3D36C8C1B6B93973253852DBD442E46EE8
                """,
            sealedResponse: """
                FD534D42ACBE1CB7ED343ADF1725EF144D90D4B0E06831DD2E8EB7B4000000000000000050000000
                00000100250000000010000026BBBF949983A6C1C796559D0F2C510CB651D1F7B6AC8DED32A2A0B8
                F2D793A815C6F6B848D69767A215841A42D400AE6DDB5F0B44173A014973321FDD7950DA6179159B
                82E03C9E18A050FF0EA1C967
                """,
            response: """
                FE534D4240000100000000000900010001000000000000000500000000000000FFFE000001000000
                25000000001000000000000000000000000000000000000011000000170000000000000000000000
                """),
    ]

    func sealer(_ example: Example, _ role: Role) throws -> Sealer {
        let keys = try SessionKeys(
            sessionKey: hex(example.sessionKey), dialect: example.dialect, preauthIntegrity: hex(example.preauth),
            cipher: example.algorithm, role: role)
        return try Sealer(
            example.algorithm, encryption: try #require(keys.encryption), decryption: try #require(keys.decryption))
    }

    @Test(arguments: examples)
    func knownAnswers(example: Example) throws {
        var client = try self.sealer(example, .client)
        var server = try self.sealer(example, .server)
        for _ in 0..<2 {  // the second round shows that the contexts are reusable
            let expected = hex(example.sealedRequest)
            var packet = Array(expected.prefix(TransformLayout.byteCount)) + hex(example.request)
            try packet.withUnsafeMutableBytes { bytes in
                for index in 4..<20 { bytes[index] = 0 }
                try client.encrypt(bytes.baseAddress!, Int32(bytes.count - TransformLayout.byteCount))
            }
            #expect(packet == expected)
            let range = try packet.withUnsafeMutableBytes { try server.open($0) }
            #expect(Array(packet[range]) == hex(example.request))

            var answer = hex(example.sealedResponse)
            let answered = try answer.withUnsafeMutableBytes { try client.open($0) }
            #expect(Array(answer[answered]) == hex(example.response))
        }
    }

    @Test(arguments: SealingAlgorithm.allCases)
    func roundTripAndEveryFlippedBit(algorithm: SealingAlgorithm) throws {
        let one = SecretKey((0..<UInt8(algorithm.keyByteCount)).map { $0 })
        let other = SecretKey((0..<UInt8(algorithm.keyByteCount)).map { $0 &+ 100 })
        var client = try Sealer(algorithm, encryption: one, decryption: other)
        var server = try Sealer(algorithm, encryption: other, decryption: one)
        let text = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        var nonces = Set<[UInt8]>()
        for _ in 0..<3 {
            var packet = [UInt8](repeating: 0xEE, count: TransformLayout.byteCount) + text
            try packet.withUnsafeMutableBytes { try client.seal($0, sessionID: 0x1122_3344_5566_7788) }
            #expect(packet.withUnsafeBytes { TransformLayout.sessionID(of: $0) } == 0x1122_3344_5566_7788)
            #expect(nonces.insert(Array(packet[20..<36])).inserted)
            #expect(packet[(20 + algorithm.nonceByteCount)..<36].allSatisfy { $0 == 0 })
            for index in packet.indices {
                var broken = packet
                broken[index] ^= 1
                // The bytes behind the nonce are authenticated too.
                #expect(throws: CryptoError.self) { try broken.withUnsafeMutableBytes { try server.open($0) } }
            }
            let range = try packet.withUnsafeMutableBytes { try server.open($0) }
            #expect(Array(packet[range]) == text)
        }
    }

    @Test(arguments: SealingAlgorithm.allCases)
    func everyTruncationIsRefused(algorithm: SealingAlgorithm) throws {
        let key = SecretKey([UInt8](repeating: 7, count: algorithm.keyByteCount))
        var sealer = try Sealer(algorithm, encryption: key, decryption: key)
        var packet = [UInt8](repeating: 1, count: TransformLayout.byteCount + 20)
        try packet.withUnsafeMutableBytes { try sealer.seal($0, sessionID: 1) }
        for count in 0..<packet.count {
            var short = Array(packet[..<count])
            #expect(throws: CryptoError.self) { try short.withUnsafeMutableBytes { try sealer.open($0) } }
        }
        for count in 0...TransformLayout.byteCount {
            var empty = [UInt8](repeating: 0, count: count)
            #expect(throws: CryptoError.self) { try empty.withUnsafeMutableBytes { try sealer.seal($0, sessionID: 1) } }
        }
    }
}
