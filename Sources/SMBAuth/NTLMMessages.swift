/// NEGOTIATE flags, [MS-NLMP] 2.2.2.5.
struct NTLMFlags: OptionSet, Sendable {
    let rawValue: UInt32

    static let unicode = NTLMFlags(rawValue: 0x0000_0001)
    static let requestTarget = NTLMFlags(rawValue: 0x0000_0004)
    static let sign = NTLMFlags(rawValue: 0x0000_0010)
    static let seal = NTLMFlags(rawValue: 0x0000_0020)
    static let ntlm = NTLMFlags(rawValue: 0x0000_0200)
    static let anonymous = NTLMFlags(rawValue: 0x0000_0800)
    static let alwaysSign = NTLMFlags(rawValue: 0x0000_8000)
    static let targetTypeServer = NTLMFlags(rawValue: 0x0002_0000)
    static let extendedSessionSecurity = NTLMFlags(rawValue: 0x0008_0000)
    static let targetInfo = NTLMFlags(rawValue: 0x0080_0000)
    static let version = NTLMFlags(rawValue: 0x0200_0000)
    static let key128 = NTLMFlags(rawValue: 0x2000_0000)
    static let keyExchange = NTLMFlags(rawValue: 0x4000_0000)
    static let key56 = NTLMFlags(rawValue: 0x8000_0000)
}

/// AV_PAIR identifiers, [MS-NLMP] 2.2.2.1.
enum AVID: UInt16 {
    case endOfList = 0
    case netBIOSComputerName = 1
    case netBIOSDomainName = 2
    case dnsComputerName = 3
    case dnsDomainName = 4
    case flags = 6
    case timestamp = 7
    case targetName = 9
    case channelBindings = 10
}

/// MsvAvFlags: the AUTHENTICATE message carries a MIC.
let micPresentFlag: UInt32 = 0x2

enum NTLM {
    static let magic: [UInt8] = Array("NTLMSSP".utf8) + [0]
    /// Version 10.0, NTLMSSP_REVISION_W2K3. [MS-NLMP] 2.2.2.10; nobody acts on it.
    static let version: [UInt8] = [10, 0, 0, 0, 0, 0, 0, 15]
    static let micRange = 72..<88

    static func requireHeader(_ message: [UInt8], type: UInt32, minimum: Int) throws(Refusal) {
        guard message.count >= minimum else { throw .malformed("NTLM: message type \(type) too short") }
        guard message.starts(with: Self.magic), message.littleEndian32(at: 8) == type else {
            throw .malformed("NTLM: not a message of type \(type)")
        }
    }

    /// A length, a maximum length and an offset at `offset`; the bytes they name.
    static func field(of message: [UInt8], at offset: Int) throws(Refusal) -> [UInt8] {
        let length = Int(message.littleEndian16(at: offset))
        guard length > 0 else { return [] }
        let start = Int(message.littleEndian32(at: offset + 4))
        guard start <= message.count, length <= message.count - start else {
            throw .malformed("NTLM: a field reaches beyond the message")
        }
        return Array(message[start..<(start + length)])
    }

    /// The AV_PAIRs of a target information by identifier; the first of a kind counts. [MS-NLMP] 2.2.2.1.
    static func pairs(_ information: ArraySlice<UInt8>) throws(Refusal) -> [AVID: ArraySlice<UInt8>] {
        var result: [AVID: ArraySlice<UInt8>] = [:]
        var rest = information
        while true {
            guard rest.count >= 4 else { throw .malformed("NTLM: target information without an end") }
            let bytes = Array(rest.prefix(4))
            let identifier = bytes.littleEndian16(at: 0)
            let length = Int(bytes.littleEndian16(at: 2))
            if identifier == AVID.endOfList.rawValue { return result }
            guard length <= rest.count - 4 else { throw .malformed("NTLM: a target information pair is too long") }
            let value = rest.dropFirst(4).prefix(length)
            if let known = AVID(rawValue: identifier), result[known] == nil { result[known] = value }
            rest = rest.dropFirst(4 + length)
        }
    }

    static func pair(_ identifier: AVID, _ value: [UInt8]) -> [UInt8] {
        UInt16(identifier.rawValue).littleEndianBytes + UInt16(clamping: value.count).littleEndianBytes + value
    }
}

/// [MS-NLMP] 2.2.1.1.
struct NegotiateMessage {
    var flags: NTLMFlags

    init(flags: NTLMFlags) { self.flags = flags }

    init(parsing message: [UInt8]) throws(Refusal) {
        // Domain and workstation are optional, and only OEM text; nothing here needs them.
        try NTLM.requireHeader(message, type: 1, minimum: 16)
        self.flags = NTLMFlags(rawValue: message.littleEndian32(at: 12))
    }

    func encoded() -> [UInt8] {
        NTLM.magic + UInt32(1).littleEndianBytes + self.flags.rawValue.littleEndianBytes
            + [UInt8](repeating: 0, count: 16) + NTLM.version
    }
}

/// [MS-NLMP] 2.2.1.2.
struct ChallengeMessage {
    static let payloadOffset = 56

    var flags: NTLMFlags
    var serverChallenge: [UInt8]
    var targetName: [UInt8]
    var targetInformation: [UInt8]

    init(flags: NTLMFlags, serverChallenge: [UInt8], targetName: [UInt8], targetInformation: [UInt8]) {
        self.flags = flags
        self.serverChallenge = serverChallenge
        self.targetName = targetName
        self.targetInformation = targetInformation
    }

    init(parsing message: [UInt8]) throws(Refusal) {
        try NTLM.requireHeader(message, type: 2, minimum: 48)
        self.targetName = try NTLM.field(of: message, at: 12)
        self.flags = NTLMFlags(rawValue: message.littleEndian32(at: 20))
        self.serverChallenge = Array(message[24..<32])
        self.targetInformation = try NTLM.field(of: message, at: 40)
    }

    func encoded() -> [UInt8] {
        let name = UInt16(clamping: self.targetName.count)
        let information = UInt16(clamping: self.targetInformation.count)
        let informationOffset = UInt32(Self.payloadOffset + self.targetName.count)
        return NTLM.magic + UInt32(2).littleEndianBytes
            + name.littleEndianBytes + name.littleEndianBytes + UInt32(Self.payloadOffset).littleEndianBytes
            + self.flags.rawValue.littleEndianBytes + self.serverChallenge + [UInt8](repeating: 0, count: 8)
            + information.littleEndianBytes + information.littleEndianBytes + informationOffset.littleEndianBytes
            + NTLM.version + self.targetName + self.targetInformation
    }
}

/// [MS-NLMP] 2.2.1.3.
struct AuthenticateMessage {
    static let payloadOffset = 88

    var flags: NTLMFlags
    var lmResponse: [UInt8]
    var ntResponse: [UInt8]
    /// UTF-16LE, as sent: the keys are computed over these very bytes.
    var domain: [UInt8]
    var user: [UInt8]
    var workstation: [UInt8]
    var encryptedSessionKey: [UInt8]

    init(parsing message: [UInt8]) throws(Refusal) {
        try NTLM.requireHeader(message, type: 3, minimum: 64)
        self.lmResponse = try NTLM.field(of: message, at: 12)
        self.ntResponse = try NTLM.field(of: message, at: 20)
        self.domain = try NTLM.field(of: message, at: 28)
        self.user = try NTLM.field(of: message, at: 36)
        self.workstation = try NTLM.field(of: message, at: 44)
        self.encryptedSessionKey = try NTLM.field(of: message, at: 52)
        self.flags = NTLMFlags(rawValue: message.littleEndian32(at: 60))
        guard self.user.count % 2 == 0, self.domain.count % 2 == 0 else { throw .malformed("NTLM: half a character") }
    }

    init(
        flags: NTLMFlags, lmResponse: [UInt8], ntResponse: [UInt8], domain: [UInt8], user: [UInt8],
        workstation: [UInt8], encryptedSessionKey: [UInt8]
    ) {
        self.flags = flags
        self.lmResponse = lmResponse
        self.ntResponse = ntResponse
        self.domain = domain
        self.user = user
        self.workstation = workstation
        self.encryptedSessionKey = encryptedSessionKey
    }

    /// With a MIC of zeroes, to be filled in at ``NTLM/micRange``.
    func encoded() -> [UInt8] {
        var fields: [UInt8] = []
        var payload: [UInt8] = []
        for value in [
            self.lmResponse, self.ntResponse, self.domain, self.user, self.workstation, self.encryptedSessionKey,
        ] {
            let length = UInt16(clamping: value.count)
            fields += length.littleEndianBytes + length.littleEndianBytes
            fields += UInt32(Self.payloadOffset + payload.count).littleEndianBytes
            payload += value
        }
        return NTLM.magic + UInt32(3).littleEndianBytes + fields + self.flags.rawValue.littleEndianBytes
            + NTLM.version + [UInt8](repeating: 0, count: NTLM.micRange.count) + payload
    }
}
