import Testing

@testable import SMBCrypto

@Suite struct DigestTests {
    /// RFC 1320, A.5.
    @Test(arguments: [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("message digest", "d9130a8164549fe818874806e1c7014b"),
        ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "e33b4ddc9c38f2199c3e7b164fcc0536"
        ),
    ])
    func md4(text: String, expected: String) throws {
        #expect(try hex(Digest.md4(Array(text.utf8))) == expected)
    }

    @Test func legacyProviderIsThere() {
        #expect(CryptoError.checkLegacyAlgorithms() == nil)
    }

    /// RFC 1321, A.5.
    @Test func md5() throws {
        #expect(try hex(Digest.md5(Array("message ".utf8), Array("digest".utf8))) == "f96b697d7cb7938d525a2f31aaf161d0")
    }

    /// RFC 2202, 2, cases 1 to 3.
    @Test func hmacMD5() throws {
        let first = try Digest.hmacMD5(key: [UInt8](repeating: 0x0B, count: 16), Array("Hi There".utf8))
        #expect(hex(first) == "9294727a3638bb1c13f48ef8158bfc9d")
        let second = try Digest.hmacMD5(
            key: Array("Jefe".utf8), Array("what do ya ".utf8), Array("want for nothing?".utf8))
        #expect(hex(second) == "750c783e6ab0b503eaa86e310a5db738")
    }

    /// The HMAC of nothing under an empty key, which libcrypto must not take for "no key given".
    @Test func hmacWithAnEmptyKey() throws {
        #expect(try hex(Digest.hmacMD5(key: [])) == "74e6f7298a9c2d168935f58c001bad88")
    }

    /// RFC 4231, case 2.
    @Test func hmacSHA256() throws {
        let output = try Digest.hmacSHA256(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
        #expect(hex(output) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    /// RFC 6229 and the well-known example "Key" / "Plaintext"; the state goes on between calls.
    @Test func rc4() throws {
        var stream = try RC4(key: Array("Key".utf8))
        let first = try stream.apply(Array("Plain".utf8))
        let rest = try stream.apply(Array("text".utf8))
        #expect(hex(first + rest) == "bbf316e8d940af0ad3")
        let zeros = try RC4.apply(key: hex("0102030405060708090a0b0c0d0e0f10"), [UInt8](repeating: 0, count: 16))
        #expect(hex(zeros) == "9ac7cc9a609d1ef7b2932899cde41b97")
    }

    @Test func randomBytesDiffer() throws {
        #expect(try Random.bytes(32) != Random.bytes(32))
        #expect(try Random.bytes(0) == [])
    }

    @Test func constantTimeComparison() {
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
        #expect(constantTimeEqual([], []))
    }

    @Test func aKeyDoesNotPrintItself() {
        let key = SecretKey([0xDE, 0xAD])
        #expect("\(key) \(String(reflecting: key))" == "SecretKey(2 bytes) SecretKey(2 bytes)")
        #expect(key == SecretKey([0xDE, 0xAD]) && key != SecretKey([0xDE, 0xAE]))
    }
}
