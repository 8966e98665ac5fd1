/// SHA-512 is the only one, [MS-SMB2] 2.2.3.1.1.
package struct HashAlgorithm: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let sha512 = HashAlgorithm(rawValue: 0x0001)
}

/// The ciphers of [MS-SMB2] 2.2.3.1.2.
package struct Cipher: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let aes128CCM = Cipher(rawValue: 0x0001)
    package static let aes128GCM = Cipher(rawValue: 0x0002)
    package static let aes256CCM = Cipher(rawValue: 0x0003)
    package static let aes256GCM = Cipher(rawValue: 0x0004)
}

/// The signing algorithms of [MS-SMB2] 2.2.3.1.7.
package struct SigningAlgorithm: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let hmacSHA256 = SigningAlgorithm(rawValue: 0x0000)
    package static let aesCMAC = SigningAlgorithm(rawValue: 0x0001)
    package static let aesGMAC = SigningAlgorithm(rawValue: 0x0002)
}

/// SMB2_PREAUTH_INTEGRITY_CAPABILITIES, [MS-SMB2] 2.2.3.1.1.
package struct PreauthIntegrityCapabilities: Equatable, Sendable {
    package var hashAlgorithms: [HashAlgorithm]
    package var salt: [UInt8]

    package init(hashAlgorithms: [HashAlgorithm], salt: [UInt8]) {
        self.hashAlgorithms = hashAlgorithms
        self.salt = salt
    }
}

/// SMB2_COMPRESSION_CAPABILITIES, [MS-SMB2] 2.2.3.1.3.
package struct CompressionCapabilities: Equatable, Sendable {
    package static let chainedFlag: UInt32 = 0x0000_0001

    package var algorithms: [UInt16]
    package var flags: UInt32

    package init(algorithms: [UInt16], flags: UInt32) {
        self.algorithms = algorithms
        self.flags = flags
    }
}

/// The negotiate contexts of 3.1.1, [MS-SMB2] 2.2.3.1 and 2.2.4.1: at most one of each kind.
package struct NegotiateContexts: Equatable, Sendable {
    /// Contexts in one message; Windows sends at most eight.
    package static let maximumContexts = 32
    /// Algorithms in one context.
    package static let maximumAlgorithms = 64

    package static let preauthIntegrityType: UInt16 = 0x0001
    package static let encryptionType: UInt16 = 0x0002
    package static let compressionType: UInt16 = 0x0003
    package static let netNameType: UInt16 = 0x0005
    package static let transportType: UInt16 = 0x0006
    package static let rdmaTransformType: UInt16 = 0x0007
    package static let signingType: UInt16 = 0x0008
    package static let posixType: UInt16 = 0x0100

    package var preauthIntegrity: PreauthIntegrityCapabilities?
    package var ciphers: [Cipher]?
    package var compression: CompressionCapabilities?
    package var netName: String?
    package var transportFlags: UInt32?
    package var rdmaTransforms: [UInt16]?
    package var signingAlgorithms: [SigningAlgorithm]?
    /// The client offers the POSIX extensions (an opaque identifier).
    package var posix: [UInt8]?

    package init() {}

    /// How many contexts `encode` writes.
    package var count: Int {
        [
            self.preauthIntegrity != nil, self.ciphers != nil, self.compression != nil, self.netName != nil,
            self.transportFlags != nil, self.rdmaTransforms != nil, self.signingAlgorithms != nil, self.posix != nil,
        ].count { $0 }
    }

    /// `count` contexts from `offset`, each on an 8-byte boundary relative to the SMB2 header at the span's start.
    /// Unknown kinds are skipped; [MS-SMB2] 3.3.5.4 refuses a repeated one and an empty list of algorithms.
    package init(parsing message: RawSpan, offset: Int, count: Int, notBefore floor: Int) throws(WireError) {
        guard count <= Self.maximumContexts else { throw .limitExceeded("negotiate contexts") }
        var at = offset
        for index in 0..<count {
            if index > 0 { at = (at + 7) & ~7 }
            guard at >= floor, at <= message.byteCount, message.byteCount - at >= 8 else {
                throw .outOfBounds("negotiate context")
            }
            let kind = message.load(UInt16.self, at: at)
            let length = Int(message.load(UInt16.self, at: at + 2))
            guard length <= message.byteCount - at - 8 else { throw .outOfBounds("negotiate context") }
            try self.add(kind, message.extracting(at + 8..<at + 8 + length))
            at += 8 + length
        }
    }

    private mutating func add(_ kind: UInt16, _ data: RawSpan) throws(WireError) {
        switch kind {
        case Self.preauthIntegrityType:
            guard self.preauthIntegrity == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(4, "preauth integrity capabilities")
            let count = Int(data.load(UInt16.self, at: 0))
            let saltLength = Int(data.load(UInt16.self, at: 2))
            let hashes = try Self.list(data, at: 4, count: count)
            let salt = try data.range(offset: 4 + 2 * count, length: saltLength, notBefore: 4, "salt")
            self.preauthIntegrity = PreauthIntegrityCapabilities(
                hashAlgorithms: hashes.map { HashAlgorithm(rawValue: $0) }, salt: data.bytes(in: salt))
        case Self.encryptionType:
            guard self.ciphers == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(2, "encryption capabilities")
            self.ciphers = try Self.list(data, at: 2, count: Int(data.load(UInt16.self, at: 0)))
                .map { Cipher(rawValue: $0) }
        case Self.compressionType:
            guard self.compression == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(8, "compression capabilities")
            self.compression = CompressionCapabilities(
                algorithms: try Self.list(data, at: 8, count: Int(data.load(UInt16.self, at: 0))),
                flags: data.load(UInt32.self, at: 4))
        case Self.netNameType:
            guard self.netName == nil else { throw .invalidValue("repeated negotiate context") }
            self.netName = try UTF16LE.decode(data)
        case Self.transportType:
            guard self.transportFlags == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(4, "transport capabilities")
            self.transportFlags = data.load(UInt32.self, at: 0)
        case Self.rdmaTransformType:
            guard self.rdmaTransforms == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(8, "RDMA transform capabilities")
            self.rdmaTransforms = try Self.list(data, at: 8, count: Int(data.load(UInt16.self, at: 0)))
        case Self.signingType:
            guard self.signingAlgorithms == nil else { throw .invalidValue("repeated negotiate context") }
            try data.require(2, "signing capabilities")
            self.signingAlgorithms = try Self.list(data, at: 2, count: Int(data.load(UInt16.self, at: 0)))
                .map { SigningAlgorithm(rawValue: $0) }
        case Self.posixType:
            guard self.posix == nil else { throw .invalidValue("repeated negotiate context") }
            self.posix = data.copied
        default:
            break
        }
    }

    private static func list(_ data: RawSpan, at offset: Int, count: Int) throws(WireError) -> [UInt16] {
        guard count > 0 else { throw .invalidValue("empty list of algorithms") }
        guard count <= self.maximumAlgorithms else { throw .limitExceeded("algorithms") }
        guard data.byteCount - offset >= 2 * count else { throw .outOfBounds("list of algorithms") }
        return (0..<count).map { data.load(UInt16.self, at: offset + 2 * $0) }
    }

    /// Appends the contexts, the first already aligned by the caller.
    package func encode(into writer: inout WireWriter) {
        if let preauth = self.preauthIntegrity {
            Self.encode(Self.preauthIntegrityType, into: &writer) { writer in
                writer.append(UInt16(preauth.hashAlgorithms.count))
                writer.append(UInt16(preauth.salt.count))
                for algorithm in preauth.hashAlgorithms { writer.append(algorithm.rawValue) }
                writer.append(preauth.salt)
            }
        }
        if let ciphers = self.ciphers {
            Self.encode(Self.encryptionType, into: &writer) { writer in
                writer.append(UInt16(ciphers.count))
                for cipher in ciphers { writer.append(cipher.rawValue) }
            }
        }
        if let compression = self.compression {
            Self.encode(Self.compressionType, into: &writer) { writer in
                writer.append(UInt16(compression.algorithms.count))
                writer.append(UInt16(0))
                writer.append(compression.flags)
                for algorithm in compression.algorithms { writer.append(algorithm) }
            }
        }
        if let netName = self.netName {
            Self.encode(Self.netNameType, into: &writer) { $0.append(utf16: netName) }
        }
        if let flags = self.transportFlags {
            Self.encode(Self.transportType, into: &writer) { $0.append(flags) }
        }
        if let transforms = self.rdmaTransforms {
            Self.encode(Self.rdmaTransformType, into: &writer) { writer in
                writer.append(UInt16(transforms.count))
                writer.claim(6)
                for transform in transforms { writer.append(transform) }
            }
        }
        if let algorithms = self.signingAlgorithms {
            Self.encode(Self.signingType, into: &writer) { writer in
                writer.append(UInt16(algorithms.count))
                for algorithm in algorithms { writer.append(algorithm.rawValue) }
            }
        }
        if let posix = self.posix {
            Self.encode(Self.posixType, into: &writer) { $0.append(posix) }
        }
    }

    private static func encode(_ kind: UInt16, into writer: inout WireWriter, _ data: (inout WireWriter) -> Void) {
        writer.align(to: 8)
        writer.append(kind)
        let length = writer.claim(6)
        let start = writer.count
        data(&writer)
        writer.store(UInt16(writer.count - start), at: length)
    }
}
