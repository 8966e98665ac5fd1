import SMB2Wire
import SMBAuth
import SMBCompression
import SMBCrypto

/// Whom to connect to, as whom, and what to offer.
package struct ClientConfiguration: Sendable {
    package var host: String
    package var port: UInt16
    package var credentials: ClientAuthentication.Credentials
    package var dialects: [Dialect] = [.smb202, .smb21, .smb30, .smb302, .smb311]
    package var clientGUID: GUID
    /// Signs every request; without it only what 3.1.1 insists on.
    package var signs = true
    /// Encrypts everything behind the session setup. Where the server wants it, that happens anyway.
    package var encrypts = false
    package var ciphers: [Cipher] = [.aes128GCM, .aes128CCM, .aes256GCM, .aes256CCM]
    package var signingAlgorithms: [SMB2Wire.SigningAlgorithm] = [.aesGMAC, .aesCMAC, .hmacSHA256]
    /// Offered compression; nothing by default.
    package var compression: [CompressionAlgorithm] = []
    package var chainsCompression = true
    package var capabilities: Capabilities = [.leasing, .largeMTU, .persistentHandles, .encryption]
    /// NTLM without SPNEGO around it.
    package var usesBareNTLM = false
    package var connectTimeoutMilliseconds = 5000
    package var requestTimeoutMilliseconds = 60_000
    /// Asked for as long as there are fewer.
    package var targetCredits: Int = 512

    package init(host: String, port: UInt16 = 445, credentials: ClientAuthentication.Credentials) throws(ClientError) {
        self.host = host
        self.port = port
        self.credentials = credentials
        self.clientGUID = try Self.freshGUID()
    }

    package static func freshGUID() throws(ClientError) -> GUID {
        try crypto { () throws(CryptoError) in GUID(low: try Random.integer(), high: try Random.integer()) }
    }
}
