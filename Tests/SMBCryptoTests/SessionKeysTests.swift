import Testing

@testable import SMBCrypto

/// Known answers of Microsoft's Open Specifications blog, "SMB 2 and SMB 3 security in Windows 10: the anatomy of
/// signing and cryptographic keys", appendix; its "EncryptionKey" is the client's.
@Suite struct SessionKeysTests {
    @Test func dialect300() throws {
        let key = hex("7CD451825D0450D235424E44BA6E78CC")
        let client = try SessionKeys(sessionKey: key, dialect: 0x0300, role: .client)
        #expect(client.signing == SecretKey(hex("0B7E9C5CAC36C0F6EA9AB275298CEDCE")))
        #expect(client.encryption == SecretKey(hex("FAD27796665B313EBB578F388632B4F7")))
        #expect(client.decryption == SecretKey(hex("B0F0427F7CEB416D1D9DCC0CD4F99447")))
        #expect(client.application == SecretKey(hex("BB23A4575AA26C721AF525AF15A87B4F")))
        let server = try SessionKeys(sessionKey: key, dialect: 0x0302, role: .server)
        #expect(server.encryption == client.decryption && server.decryption == client.encryption)
    }

    @Test func dialect311() throws {
        let preauth = hex(
            """
            0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79
            28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01
            """)
        let keys = try SessionKeys(
            sessionKey: hex("270E1BA896585EEB7AF3472D3B4C75A7"), dialect: 0x0311, preauthIntegrity: preauth,
            cipher: .aes128GCM, role: .client)
        #expect(keys.signing == SecretKey(hex("73FE7A9A77BEF0BDE49C650D8CCB5F76")))
        #expect(keys.encryption == SecretKey(hex("629BCBC54422A0F572B97F45989B6073")))
        #expect(keys.decryption == SecretKey(hex("E2AF0DCEFAC68DA71A0DFBD0D1350D74")))
        #expect(keys.application == SecretKey(hex("6D7AD7954E9EC61E907B4D473DC178FF")))
        let long = try SessionKeys(
            sessionKey: hex("270E1BA896585EEB7AF3472D3B4C75A7"), dialect: 0x0311, preauthIntegrity: preauth,
            cipher: .aes256GCM, role: .client)
        #expect(long.encryption?.count == 32 && long.signing == keys.signing)
        // The length is part of what is hashed: the longer key does not begin with the shorter.
        #expect(long.encryption.map { Array($0.bytes.prefix(16)) } != keys.encryption?.bytes)
    }

    @Test func dialect2xSignsWithTheSessionKeyItself() throws {
        let keys = try SessionKeys(sessionKey: [1, 2, 3], dialect: 0x0210, role: .server)
        #expect(keys.signing == SecretKey([1, 2, 3] + [UInt8](repeating: 0, count: 13)))
        #expect(keys.encryption == nil && keys.decryption == nil)
    }

    /// NEGOTIATE request of the blog's 3.1.1 example.
    @Test func preauthIntegrity() throws {
        var hash = PreauthIntegrity()
        try hash.update(
            hex(
                """
                FE534D4240000100000000000000800000000000000000000100000000000000FFFE000000000000
                00000000000000000000000000000000000000000000000024000500000000003F000000ECD86F32
                6276024F9F7752B89BB33F3A70000000020000000202100200030203110300000100260000000000
                010020000100FA49E6578F1F3A9F4CD3E9CC14A67AA884B3D05844E0E5A118225C15887F32FF0000
                0200060000000000020002000100
                """))
        #expect(
            hash.value
                == hex(
                    """
                    DD94EFC5321BB618A2E208BA8920D2F422992526947A409B5037DE1E0FE8C7362B8C47122594CDE0
                    CE26AA9DFC8BCDBDE0621957672623351A7540F1E54A0426
                    """))
    }
}
