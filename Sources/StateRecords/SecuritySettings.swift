/// What an administrator decides of how clients prove who they are, and of what protects what they send. [MS-SMB2] 3.3.1.5. The raw
/// values are the names that people use.
package enum SecuritySetting: String, CaseIterable, Sendable {
    /// `required` or `optional`. RequireMessageSigning.
    case signing
    /// `required`: every session is encrypted, and clients that cannot are refused (EncryptData and RejectUnencryptedAccess);
    /// `optional`: where the share or the client wants it.
    case encryption
    /// Names with commas between them, the one that the server likes best first.
    case ciphers
    case signingAlgorithms = "signing-algorithms"
    /// Seconds after which a session must authenticate anew; 0: never.
    case sessionLifetime = "session-lifetime"
    /// `on` or `off`: whether nobody in particular may log on. Guests never may.
    case anonymous
}

/// A way to encrypt, [MS-SMB2] 2.2.3.1.2. The raw values are the protocol's.
package enum CipherName: UInt16, CaseIterable, Sendable, NamedAlgorithm {
    case aes128GCM = 2
    case aes128CCM = 1
    case aes256GCM = 4
    case aes256CCM = 3

    package var name: String {
        switch self {
        case .aes128GCM: "aes-128-gcm"
        case .aes128CCM: "aes-128-ccm"
        case .aes256GCM: "aes-256-gcm"
        case .aes256CCM: "aes-256-ccm"
        }
    }
}

/// A way to sign, [MS-SMB2] 2.2.3.1.7. The raw values are the protocol's. HMAC-SHA256 is the only one of SMB 2.x, AES-CMAC that of
/// 3.0 and 3.0.2: without them those clients are refused.
package enum SigningName: UInt16, CaseIterable, Sendable, NamedAlgorithm {
    case aesGMAC = 2
    case aesCMAC = 1
    case hmacSHA256 = 0

    package var name: String {
        switch self {
        case .aesGMAC: "aes-gmac"
        case .aesCMAC: "aes-cmac"
        case .hmacSHA256: "hmac-sha256"
        }
    }
}

/// Why a setting was not taken. For people.
package struct SecuritySettingError: Error, Equatable, CustomStringConvertible {
    package let description: String

    static func unknown(_ name: String) -> Self {
        Self(
            description: "there is no security setting \(name): they are "
                + SecuritySetting.allCases.map(\.rawValue).joined(separator: ", "))
    }

    static func value(_ setting: SecuritySetting, _ text: String, wanted: String) -> Self {
        Self(description: "\(setting.rawValue) is \(wanted), and \(text) is not")
    }

    static func malformed(_ text: String) -> Self { Self(description: "\(text): NAME=VALUE is wanted") }
}

/// The settings in force.
package struct SecuritySettings: Equatable, BinaryRecord {
    /// A year: what is longer is meant to be never.
    package static let longestSessionLifetimeSeconds: UInt32 = 366 * 86_400

    package var requiresSigning = true
    package var requiresEncryption = false
    /// Never empty, each once.
    package private(set) var ciphers = CipherName.allCases
    /// Never empty, each once.
    package private(set) var signingAlgorithms = SigningName.allCases
    /// 0: without end.
    package private(set) var sessionLifetimeSeconds: UInt32 = 0
    package var allowsAnonymous = false

    package init() {}

    /// As a person would type it.
    package subscript(setting: SecuritySetting) -> String {
        switch setting {
        case .signing: Self.necessity(self.requiresSigning)
        case .encryption: Self.necessity(self.requiresEncryption)
        case .ciphers: CipherName.list(self.ciphers)
        case .signingAlgorithms: SigningName.list(self.signingAlgorithms)
        case .sessionLifetime: "\(self.sessionLifetimeSeconds)"
        case .anonymous: self.allowsAnonymous ? "on" : "off"
        }
    }

    private static func necessity(_ isRequired: Bool) -> String { isRequired ? "required" : "optional" }

    package mutating func set(_ setting: SecuritySetting, to text: String) throws(SecuritySettingError) {
        switch setting {
        case .signing: self.requiresSigning = try Self.isRequired(setting, text)
        case .encryption: self.requiresEncryption = try Self.isRequired(setting, text)
        case .ciphers: self.ciphers = try CipherName.list(setting, text)
        case .signingAlgorithms: self.signingAlgorithms = try SigningName.list(setting, text)
        case .sessionLifetime:
            guard let seconds = UInt32(text), seconds <= Self.longestSessionLifetimeSeconds else {
                throw .value(setting, text, wanted: "seconds, at most \(Self.longestSessionLifetimeSeconds), or 0")
            }
            self.sessionLifetimeSeconds = seconds
        case .anonymous:
            switch text {
            case "on": self.allowsAnonymous = true
            case "off": self.allowsAnonymous = false
            default: throw .value(setting, text, wanted: "on or off")
            }
        }
    }

    private static func isRequired(_ setting: SecuritySetting, _ text: String) throws(SecuritySettingError) -> Bool {
        switch text {
        case "required": return true
        case "optional": return false
        default: throw .value(setting, text, wanted: "required or optional")
        }
    }

    /// By what a person typed.
    package mutating func set(_ name: String, to text: String) throws(SecuritySettingError) {
        guard let setting = SecuritySetting(rawValue: name) else { throw .unknown(name) }
        try self.set(setting, to: text)
    }

    /// `NAME=VALUE`.
    package mutating func set(_ assignment: String) throws(SecuritySettingError) {
        guard let equals = assignment.firstIndex(of: "=") else { throw .malformed(assignment) }
        try self.set(String(assignment[..<equals]), to: String(assignment[assignment.index(after: equals)...]))
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.requiresSigning)
            writer.write(self.requiresEncryption)
            CipherName.write(self.ciphers, into: &writer)
            SigningName.write(self.signingAlgorithms, into: &writer)
            writer.write(self.sessionLifetimeSeconds)
            writer.write(self.allowsAnonymous)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            var settings = SecuritySettings()
            settings.requiresSigning = try reader.read()
            settings.requiresEncryption = try reader.read()
            settings.ciphers = try CipherName.read(from: &reader)
            settings.signingAlgorithms = try SigningName.read(from: &reader)
            settings.sessionLifetimeSeconds = min(try reader.read(), Self.longestSessionLifetimeSeconds)
            settings.allowsAnonymous = try reader.read()
            return settings
        }
    }
}

/// One of a list that an administrator writes with commas.
package protocol NamedAlgorithm: CaseIterable, Equatable, RawRepresentable where RawValue == UInt16 {
    var name: String { get }
}

extension NamedAlgorithm {
    fileprivate static func list(_ algorithms: [Self]) -> String {
        algorithms.map(\.name).joined(separator: ",")
    }

    fileprivate static func list(_ setting: SecuritySetting, _ text: String) throws(SecuritySettingError) -> [Self] {
        var algorithms: [Self] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let algorithm = Self.allCases.first(where: { $0.name == word }), !algorithms.contains(algorithm)
            else {
                throw .value(setting, text, wanted: "each of these at most once: \(self.list(Array(self.allCases)))")
            }
            algorithms.append(algorithm)
        }
        return algorithms
    }

    fileprivate static func write(_ algorithms: [Self], into writer: inout BinaryWriter) {
        writer.write(UInt32(algorithms.count))
        for algorithm in algorithms { writer.write(algorithm.rawValue) }
    }

    /// What another version has and this one does not is left out; nothing left means nothing can be agreed on, which an
    /// administrator would not want either.
    fileprivate static func read(from reader: inout BinaryReader) throws(RecordError) -> [Self] {
        let count = try reader.read(UInt32.self)
        guard count <= 64 else { throw .tooLong(kind: "algorithms", count: Int(count), limit: 64) }
        var algorithms: [Self] = []
        for _ in 0..<count {
            let value = try reader.read(UInt16.self)
            if let algorithm = Self(rawValue: value), !algorithms.contains(algorithm) { algorithms.append(algorithm) }
        }
        return algorithms.isEmpty ? Array(Self.allCases) : algorithms
    }
}
