import SMB2Wire
import SMBCrypto
import SMBServerCore

/// What another connection needs to become a channel of a session: its own signing key comes of its own authentication, all
/// channels encrypt with the session's keys. [MS-SMB2] 3.3.1.8, 3.3.5.5.3.
struct SessionSecrets: Sendable {
    var keys: SessionKeys
    var signing: SMBCrypto.SigningAlgorithm
    var sealing: SealingAlgorithm?
}

/// The keys of one session on one connection. Confined to its loop's thread.
final class Channel {
    private var signer: Signer
    private var sealer: Sealer?

    init(_ keys: SessionKeys, signing: SMBCrypto.SigningAlgorithm, sealing: SealingAlgorithm?) throws(CryptoError) {
        self.signer = try Signer(signing, key: keys.signing)
        if let sealing, let encryption = keys.encryption, let decryption = keys.decryption {
            self.sealer = try Sealer(sealing, encryption: encryption, decryption: decryption)
        }
    }

    func isSigned(_ message: UnsafeMutableRawBufferPointer) -> Bool {
        do throws(CryptoError) {
            try self.signer.verify(message, fromServer: false)
            return true
        } catch { return false }
    }

    func sign(_ message: UnsafeMutableRawBufferPointer) throws(CryptoError) {
        try self.signer.sign(message, fromServer: true)
    }

    func open(_ packet: UnsafeMutableRawBufferPointer) throws(CryptoError) -> Range<Int> {
        guard self.sealer != nil else { throw CryptoError.authentication }
        return try self.sealer!.open(packet)
    }

    func seal(_ packet: UnsafeMutableRawBufferPointer, session: UInt64) throws(CryptoError) {
        guard self.sealer != nil else { throw CryptoError.authentication }
        try self.sealer!.seal(packet, sessionID: session)
    }
}
