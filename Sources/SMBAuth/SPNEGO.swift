/// The simple and protected negotiation of RFC 4178 with [MS-SPNG]'s NegTokenInit2.
package enum SPNEGO {
    typealias ObjectIdentifier = [UInt8]

    /// 1.3.6.1.5.5.2
    static let identifier: ObjectIdentifier = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x02]
    /// 1.3.6.1.4.1.311.2.2.10
    static let ntlmssp: ObjectIdentifier = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0A]
    /// 1.2.840.113554.1.2.2
    static let kerberos: ObjectIdentifier = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02]

    /// A client that lists more mechanisms than this means no good.
    static let maximumMechanismCount = 32

    /// RFC 4178, 4.2.2.
    enum State: UInt8 {
        case acceptCompleted = 0
        case acceptIncomplete = 1
        case reject = 2
        case requestMIC = 3
    }

    /// What a server sends unasked in its NEGOTIATE response. [MS-SPNG] 2.2.1.
    package static func serverHint() -> [UInt8] {
        let hint = DER.element(
            DER.context(3),
            DER.element(
                DER.sequence,
                DER.element(
                    DER.context(0),
                    DER.element(DER.generalString, Array("not_defined_in_RFC4178@please_ignore".utf8)))))
        return self.wrap(DER.element(DER.context(0), self.mechanismList([self.ntlmssp])) + hint)
    }

    static func mechanismList(_ mechanisms: [ObjectIdentifier]) -> [UInt8] {
        DER.element(DER.sequence, mechanisms.flatMap { DER.element(DER.objectIdentifier, $0) })
    }

    private static func wrap(_ fields: [UInt8]) -> [UInt8] {
        DER.element(
            DER.application0, DER.element(DER.objectIdentifier, self.identifier),
            DER.element(DER.context(0), DER.element(DER.sequence, fields)))
    }

    static func isNegTokenInit(_ token: [UInt8]) -> Bool { token.first == DER.application0 }
}

extension SPNEGO {
    /// RFC 4178, 4.2.1. The server's form of it, with hints, reads the same as far as we look.
    struct NegTokenInit {
        var mechanisms: [ObjectIdentifier]
        /// The list as it was encoded, which is what mechListMIC covers.
        var encodedMechanisms: [UInt8]
        var mechanismToken: [UInt8]?

        init(mechanisms: [ObjectIdentifier], mechanismToken: [UInt8]?) {
            self.mechanisms = mechanisms
            self.encodedMechanisms = SPNEGO.mechanismList(mechanisms)
            self.mechanismToken = mechanismToken
        }

        init(parsing token: [UInt8]) throws(Refusal) {
            var outer = DERReader(token[...])
            var application = DERReader(try outer.read(DER.application0))
            guard outer.isAtEnd else { throw .malformed("SPNEGO: bytes behind the token") }
            guard try application.read(DER.objectIdentifier).elementsEqual(SPNEGO.identifier) else {
                throw .unsupported("a GSS token that is not SPNEGO")
            }
            var choice = DERReader(try application.read(DER.context(0)))
            var fields = DERReader(try choice.read(DER.sequence))

            var list = DERReader(try fields.read(DER.context(0)))
            let (contents, element) = try list.readWhole(DER.sequence)
            self.encodedMechanisms = Array(element)
            self.mechanisms = []
            var mechanisms = DERReader(contents)
            while !mechanisms.isAtEnd {
                guard self.mechanisms.count < SPNEGO.maximumMechanismCount else {
                    throw .malformed("SPNEGO: more than \(SPNEGO.maximumMechanismCount) mechanisms")
                }
                self.mechanisms.append(Array(try mechanisms.read(DER.objectIdentifier)))
            }
            _ = try fields.readIfPresent(DER.context(1))  // reqFlags, which RFC 4178 says to ignore
            self.mechanismToken = nil
            if let field = try fields.readIfPresent(DER.context(2)) {
                var reader = DERReader(field)
                self.mechanismToken = Array(try reader.read(DER.octetString))
            }
            // mechListMIC or hints may follow; neither means anything in a first token.
        }

        func encoded() -> [UInt8] {
            var fields = DER.element(DER.context(0), self.encodedMechanisms)
            if let mechanismToken {
                fields += DER.element(DER.context(2), DER.element(DER.octetString, mechanismToken))
            }
            return SPNEGO.wrap(fields)
        }
    }

    /// RFC 4178, 4.2.2.
    struct NegTokenResp {
        var state: State?
        var supportedMechanism: ObjectIdentifier?
        var responseToken: [UInt8]?
        var mechListMIC: [UInt8]?

        init(
            state: State?, supportedMechanism: ObjectIdentifier? = nil, responseToken: [UInt8]? = nil,
            mechListMIC: [UInt8]? = nil
        ) {
            self.state = state
            self.supportedMechanism = supportedMechanism
            self.responseToken = responseToken
            self.mechListMIC = mechListMIC
        }

        init(parsing token: [UInt8]) throws(Refusal) {
            var outer = DERReader(token[...])
            var choice = DERReader(try outer.read(DER.context(1)))
            guard outer.isAtEnd else { throw .malformed("SPNEGO: bytes behind the token") }
            var fields = DERReader(try choice.read(DER.sequence))
            if let field = try fields.readIfPresent(DER.context(0)) {
                var reader = DERReader(field)
                let value = try reader.read(DER.enumerated)
                guard value.count == 1, let state = value.first.flatMap(State.init(rawValue:)) else {
                    throw .malformed("SPNEGO: unknown state")
                }
                self.state = state
            }
            if let field = try fields.readIfPresent(DER.context(1)) {
                var reader = DERReader(field)
                self.supportedMechanism = Array(try reader.read(DER.objectIdentifier))
            }
            if let field = try fields.readIfPresent(DER.context(2)) {
                var reader = DERReader(field)
                self.responseToken = Array(try reader.read(DER.octetString))
            }
            if let field = try fields.readIfPresent(DER.context(3)) {
                var reader = DERReader(field)
                self.mechListMIC = Array(try reader.read(DER.octetString))
            }
        }

        func encoded() -> [UInt8] {
            var fields: [UInt8] = []
            if let state {
                fields += DER.element(DER.context(0), DER.element(DER.enumerated, [state.rawValue]))
            }
            if let supportedMechanism {
                fields += DER.element(DER.context(1), DER.element(DER.objectIdentifier, supportedMechanism))
            }
            if let responseToken {
                fields += DER.element(DER.context(2), DER.element(DER.octetString, responseToken))
            }
            if let mechListMIC {
                fields += DER.element(DER.context(3), DER.element(DER.octetString, mechListMIC))
            }
            return DER.element(DER.context(1), DER.element(DER.sequence, fields))
        }
    }
}
