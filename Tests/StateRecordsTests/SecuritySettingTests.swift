import Testing

@testable import StateRecords

@Suite struct SecuritySettingTests {
    @Test func inTheBeginning() {
        let settings = SecuritySettings()
        #expect(
            SecuritySetting.allCases.map { "\($0.rawValue)=\(settings[$0])" } == [
                "signing=required", "encryption=optional",
                "ciphers=aes-128-gcm,aes-128-ccm,aes-256-gcm,aes-256-ccm",
                "signing-algorithms=aes-gmac,aes-cmac,hmac-sha256", "session-lifetime=0", "anonymous=off",
            ])
    }

    @Test(arguments: [
        "signing=optional", "encryption=required", "ciphers=aes-256-ccm", "ciphers=aes-256-gcm,aes-128-gcm",
        "signing-algorithms=aes-cmac,aes-gmac", "session-lifetime=3600", "anonymous=on",
    ])
    func whatIsSetIsShownAndKept(assignment: String) throws {
        var settings = SecuritySettings()
        try settings.set(assignment)
        let parts = assignment.split(separator: "=")
        let setting = try #require(SecuritySetting(rawValue: String(parts[0])))
        #expect(settings[setting] == parts[1])
        #expect(settings != SecuritySettings())
        #expect(try SecuritySettings(decoding: settings.encoded) == settings)
        let configuration = ServerConfiguration(
            serverGUID: GUID16(low: 1, high: 2), serverName: "A", domain: (1, 2, 3), security: settings)
        #expect(try ServerConfiguration(decoding: configuration.encoded) == configuration)
    }

    @Test(arguments: [
        "signing=on", "encryption=", "ciphers=", "ciphers=aes-128-gcm,", "ciphers=aes-128-gcm,aes-128-gcm",
        "ciphers=rot13", "signing-algorithms=md5", "session-lifetime=-1", "session-lifetime=soon",
        "session-lifetime=99999999", "anonymous=maybe", "guests=on", "signing",
    ])
    func nonsenseIsRefused(assignment: String) {
        var settings = SecuritySettings()
        #expect(throws: SecuritySettingError.self) { try settings.set(assignment) }
        #expect(settings == SecuritySettings())
    }

    /// Written before there were such settings.
    @Test func anOlderConfigurationHasTheStandardOnes() throws {
        var writer = BinaryWriter()
        writer.section(version: 3) { writer in
            writer.write(GUID16(low: 1, high: 2))
            writer.write("A")
            for part: UInt32 in [1, 2, 3] { writer.write(part) }
            writer.write("/mnt")
            writer.write([ShareRecord]())
            writer.write([UserRecord]())
            writer.write(false)
            writer.write(ServerLimits())
            writer.write([SnapshotSchedule]())
            writer.write(true)
        }
        let configuration = try ServerConfiguration(decoding: writer.bytes)
        var settings = SecuritySettings()
        settings.requiresSigning = false
        #expect(configuration.security == settings)
    }

    @Test func whatAnotherVersionHasIsLeftOut() throws {
        func encoded(_ ciphers: [UInt16]) -> [UInt8] {
            var writer = BinaryWriter()
            writer.section(version: 2) { writer in
                writer.write(true)
                writer.write(true)
                writer.write(UInt32(ciphers.count))
                for cipher in ciphers { writer.write(cipher) }
                writer.write(UInt32(1))
                writer.write(SigningName.aesCMAC.rawValue)
                writer.write(UInt32.max)
                writer.write(false)
                writer.write("something new")
            }
            return writer.bytes
        }
        let settings = try SecuritySettings(decoding: encoded([99, 4, 4]))
        #expect(settings.ciphers == [.aes256GCM])
        #expect(settings.signingAlgorithms == [.aesCMAC])
        #expect(settings.sessionLifetimeSeconds == SecuritySettings.longestSessionLifetimeSeconds)
        #expect(try SecuritySettings(decoding: encoded([99])).ciphers == CipherName.allCases)
        #expect(throws: RecordError.self) { try SecuritySettings(decoding: encoded([UInt16](repeating: 1, count: 65))) }
    }
}
