import COpenSSL
import Testing

@testable import SMBCrypto

@Suite struct SignerTests {
    /// RFC 4493, 4: the four messages, over the CMAC that ``Signer`` is made of. The signer itself only takes
    /// messages with an SMB2 header.
    @Test(arguments: [
        (0, "bb1d6929e95937287fa37d129b756746"), (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"), (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ])
    func cmac(byteCount: Int, expected: String) throws {
        let message = hex(
            """
            6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
            30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710
            """)
        let key = hex("2b7e151628aed2a6abf7158809cf4f3c")
        let context = hf_mac_new("CMAC", "cipher", "AES-128-CBC", key, key.count)
        defer { EVP_MAC_CTX_free(context) }
        for _ in 0..<2 {
            var output = [UInt8](repeating: 0, count: 16)
            var length = 0
            #expect(EVP_MAC_init(context, nil, 0, nil) == 1)
            #expect(EVP_MAC_update(context, message, byteCount) == 1)
            #expect(EVP_MAC_final(context, &output, &length, 16) == 1)
            #expect(hex(output) == expected)
        }
    }

    /// The final SESSION_SETUP response of the blog's 3.1.1 example, as Windows signed it.
    static let signedByWindows = hex(
        """
        FE534D4240000100000000000100800009000000000000000300000000000000FFFE000000000000
        1900000000100000EBE146DA120BA25FC3376A49DFE31BC10900000048001D00A11B3019A0030A01
        00A3120410010000003B453CDC3524164200000000
        """)

    @Test func windowsSignature() throws {
        var signer = try Signer(.aesCMAC, key: SecretKey(hex("73FE7A9A77BEF0BDE49C650D8CCB5F76")))
        var message = Self.signedByWindows
        for _ in 0..<2 {  // the second time shows that the context is reusable
            try message.withUnsafeMutableBytes { try signer.verify($0, fromServer: true) }
            #expect(message == Self.signedByWindows)
        }
        message.withUnsafeMutableBytes { $0[50] = 0 }
        try message.withUnsafeMutableBytes { try signer.sign($0, fromServer: true) }
        #expect(message == Self.signedByWindows)
    }

    /// HMAC-SHA256 against the one-shot digest; AES-GMAC against `openssl mac -cipher AES-128-GCM GMAC`.
    @Test func otherAlgorithms() throws {
        var message = Self.signedByWindows
        let key = hex("73FE7A9A77BEF0BDE49C650D8CCB5F76")
        var signer = try Signer(.hmacSHA256, key: SecretKey(key))
        try message.withUnsafeMutableBytes { try signer.sign($0, fromServer: true) }
        var zeroed = Self.signedByWindows
        zeroed.replaceSubrange(48..<64, with: [UInt8](repeating: 0, count: 16))
        #expect(try Array(message[48..<64]) == Array(Digest.hmacSHA256(key: key, zeroed).prefix(16)))

        var gmac = try Signer(.aesGMAC, key: SecretKey(key))
        try message.withUnsafeMutableBytes { try gmac.sign($0, fromServer: true) }
        #expect(hex(message[48..<64]) == "75d05bac99ff7fcc52a44c354381d559")
        try message.withUnsafeMutableBytes { try gmac.sign($0, fromServer: false) }
        #expect(hex(message[48..<64]) == "48fe6970628518bc1797bc5fec22a901")
        message[12] = 0x0C  // CANCEL
        try message.withUnsafeMutableBytes { try gmac.sign($0, fromServer: false) }
        #expect(hex(message[48..<64]) == "0118f64b4a4baddc90e3c3936416621e")
    }

    @Test(arguments: SigningAlgorithm.allCases)
    func everyFlippedBitIsNoticed(algorithm: SigningAlgorithm) throws {
        var signer = try Signer(algorithm, key: SecretKey((0..<16).map { $0 }))
        var message = (0..<200).map { UInt8($0) }
        try message.withUnsafeMutableBytes { try signer.sign($0, fromServer: false) }
        try message.withUnsafeMutableBytes { try signer.verify($0, fromServer: false) }
        for index in message.indices {
            message[index] ^= 0x10
            #expect(throws: CryptoError.authentication) {
                try message.withUnsafeMutableBytes { try signer.verify($0, fromServer: false) }
            }
            message[index] ^= 0x10
        }
    }

    @Test(arguments: SigningAlgorithm.allCases)
    func shortMessagesAreRefused(algorithm: SigningAlgorithm) throws {
        var signer = try Signer(algorithm, key: SecretKey((0..<16).map { $0 }))
        for count in 0..<64 {
            var message = [UInt8](repeating: 1, count: count)
            #expect(throws: CryptoError.self) {
                try message.withUnsafeMutableBytes { try signer.verify($0, fromServer: false) }
            }
            #expect(throws: CryptoError.self) {
                try message.withUnsafeMutableBytes { try signer.sign($0, fromServer: false) }
            }
        }
        #expect(throws: CryptoError.self) { _ = try Signer(algorithm, key: SecretKey([1, 2, 3])) }
    }
}
