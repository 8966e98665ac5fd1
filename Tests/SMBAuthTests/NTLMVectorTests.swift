import SMBCrypto
import Testing

@testable import SMBAuth

/// [MS-NLMP] 4.2.4: user "User", domain "Domain", password "Password".
@Suite struct NTLMVectorTests {
    static let information = hex("02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000")
    static let temp =
        hex("01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000") + information + [0, 0, 0, 0]

    func keys(user: String = "User", domain: String = "Domain", password: String = "Password") throws -> NTLMv2Keys {
        try NTLMv2Keys(
            hash: NTHash(password: password), user: [UInt8](utf16LE: user), domain: [UInt8](utf16LE: domain),
            serverChallenge: hex("0123456789abcdef"), temp: Self.temp)
    }

    @Test func ntHash() throws {
        #expect(try hex(NTHash(password: "Password").bytes) == "a4f49c406510bdcab6824ee7c30fd852")
    }

    @Test func responseAndSessionKey() throws {
        let keys = try self.keys()
        #expect(hex(keys.responseKey) == "0c868a403bfd7a93a3001ef22ef02e3f")
        #expect(hex(keys.proof) == "68cd0ab851e51c96aabc927bebef6a1c")
        #expect(hex(keys.sessionBase) == "8de40ccadbc14a82f15cb0ad0de95ca3")
        let exchanged = try RC4.apply(key: keys.sessionBase, [UInt8](repeating: 0x55, count: 16))
        #expect(hex(exchanged) == "c5dad2544fc9799094ce1ce90bc9d03e")
    }

    @Test func theUserCountsInUpperCaseAndTheDomainAsItIs() throws {
        #expect(try self.keys(user: "uSER").proof == self.keys().proof)
        #expect(try self.keys(domain: "DOMAIN").proof != self.keys().proof)
        #expect([UInt8](utf16LE: "straße é🙂").uppercasedUTF16LE == [UInt8](utf16LE: "STRAßE É🙂"))
    }

    /// 4.2.4.4.
    @Test func signingAndSealingKeys() throws {
        let key = [UInt8](repeating: 0x55, count: 16)
        #expect(try hex(NTLM.signingKey(key, fromServer: false)) == "4788dc861b4782f35d43fd98fe1a2d39")
        #expect(
            try hex(NTLM.sealingKey(key, flags: [.key128], fromServer: false)) == "59f600973cc4960a25480a7c196e4c58")
    }
}

/// The SPNEGO exchange of the 3.1.1 example in Microsoft's Open Specifications blog ("The anatomy of signing and
/// cryptographic keys"), between two Windows machines. Its password is not published, its session key is.
@Suite struct WindowsExchangeTests {
    static let sessionKey = hex("270E1BA896585EEB7AF3472D3B4C75A7")
    static let first = hex(
        """
        604806062B0601050502A03E303CA00E300C060A2B06010401823702020AA22A
        04284E544C4D5353500001000000978208E200000000000000000000000000000000060380250000
        000F
        """)
    static let second = hex(
        """
        A181B03081ADA003
        0A0101A10C060A2B06010401823702020AA281970481944E544C4D53535000020000000C000C0038
        00000015828AE20D1D8BA31179D008000000000000000050005000440000000A0092270000000F53
        005500540033003100310002000C0053005500540033003100310001000C00530055005400330031
        00310004000C0053005500540033003100310003000C0053005500540033003100310007000800A1
        A1F5ADCBAED00100000000
        """)
    static let third = hex(
        """
        A18201CB308201C7A0030A0101A28201AA048201A64E544C4D53535000030000
        001800180090000000EE00EE00A80000000C000C00580000001A001A0064000000120012007E0000
        001000100096010000158288E2060380250000000FECAC77A5F385A8BF9C38C706EEEDDCD3530055
        005400330031003100610064006D0069006E006900730074007200610074006F0072004400520049
        0056004500520033003100310000000000000000000000000000000000000000000000000063078E
        B639FE03E20A231C3AE3BF23080101000000000000A1A1F5ADCBAED001BC4AD05F223CC90F000000
        0002000C0053005500540033003100310001000C0053005500540033003100310004000C00530055
        00540033003100310003000C0053005500540033003100310007000800A1A1F5ADCBAED001060004
        00020000000800300030000000000000000000000000300000B61FEFCAA857EA57BF1EDCEBF8974B
        8E0EBA5A6DFD9D07A31D11B548F8C9D0CC0A00100000000000000000000000000000000000090016
        0063006900660073002F005300550054003300310031000000000000000000000000003B9BDFF38F
        5EE8F9663F11A0F4C03A78A31204100100000063775A9A5FD97F0600000000
        """)
    static let fourth = hex("A11B3019A0030A0100A3120410010000003B453CDC3524164200000000")

    @Test func ourDecodingOfWhatWindowsSends() throws {
        let initial = try SPNEGO.NegTokenInit(parsing: Self.first)
        #expect(initial.mechanisms == [SPNEGO.ntlmssp])
        #expect(initial.encoded() == Self.first)
        let negotiate = try #require(initial.mechanismToken)
        let challengeToken = try SPNEGO.NegTokenResp(parsing: Self.second)
        #expect(challengeToken.encoded() == Self.second)
        let challenge = try #require(challengeToken.responseToken)
        let answer = try SPNEGO.NegTokenResp(parsing: Self.third)
        #expect(answer.encoded() == Self.third)
        let authenticate = try #require(answer.responseToken)
        let message = try AuthenticateMessage(parsing: authenticate)
        #expect(message.user.decodedUTF16LE == "administrator" && message.domain.decodedUTF16LE == "SUT311")
        #expect(message.workstation.decodedUTF16LE == "DRIVER311")

        let mic = try NTLM.messageIntegrityCode(
            sessionKey: Self.sessionKey, negotiate: negotiate, challenge: challenge, authenticate: authenticate)
        #expect(mic == Array(authenticate[NTLM.micRange]))
        let list = initial.encodedMechanisms
        let clientMIC = try NTLM.signature(
            of: list, sessionKey: Self.sessionKey, flags: message.flags, fromServer: false)
        #expect(clientMIC == answer.mechListMIC)
        let serverMIC = try NTLM.signature(
            of: list, sessionKey: Self.sessionKey, flags: message.flags, fromServer: true)
        #expect(try SPNEGO.NegTokenResp(parsing: Self.fourth).mechListMIC == serverMIC)
        #expect(SPNEGO.NegTokenResp(state: .acceptCompleted, mechListMIC: serverMIC).encoded() == Self.fourth)
    }

    @Test(arguments: [first, second, third, fourth])
    func everyTruncationIsRefused(token: [UInt8]) {
        for count in 0..<token.count {
            let short = Array(token[..<count])
            #expect(throws: Refusal.self) {
                if token.first == DER.application0 {
                    _ = try SPNEGO.NegTokenInit(parsing: short)
                } else {
                    _ = try SPNEGO.NegTokenResp(parsing: short)
                }
            }
        }
    }

    @Test func theServersHint() throws {
        let hint = SPNEGO.serverHint()
        #expect(try SPNEGO.NegTokenInit(parsing: hint).mechanisms == [SPNEGO.ntlmssp])
        #expect(String(decoding: hint, as: UTF8.self).contains("not_defined_in_RFC4178@please_ignore"))
    }
}
