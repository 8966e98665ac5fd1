import SMB2Wire
import SMBCompression
import StateRecords

/// A transport connection. [MS-SMB2] 3.3.1.7.
package struct Connection: Sendable {
    package typealias ID = UInt64

    package enum State: Equatable, Sendable {
        /// Nothing was negotiated yet.
        case new
        /// An SMB1 negotiate offered "SMB 2.???": an SMB2 NEGOTIATE must follow. 3.3.5.3.1.
        case multiProtocol
        case negotiated
    }

    package var state: State = .new
    package var dialect: Dialect = .smb202
    package var window = SequenceWindow()
    package var supportsMultiCredit: Bool { self.dialect >= .smb21 }

    package var clientGUID = GUID.zero
    package var clientCapabilities: Capabilities = []
    package var clientSecurityMode: SecurityMode = []
    /// What the client offered, for VALIDATE_NEGOTIATE_INFO. 3.3.5.15.12.
    package var clientDialects: [Dialect] = []
    package var serverCapabilities: Capabilities = []
    package var serverSecurityMode: SecurityMode = .signingEnabled
    /// Nil where none was agreed.
    package var cipher: Cipher?
    package var compression: CompressionAgreement?
    package var signingAlgorithm: SigningAlgorithm = .hmacSHA256
    /// The POSIX extensions were negotiated.
    package var isPOSIX = false
    package var maximumTransfer = Limits.transferWithoutCredits

    /// In the order in which they were set up.
    package var sessions: [UInt64] = []
    package var asyncCount = 0
    /// Of requests that wait for oplock breaks.
    package var deferredByteCount = 0
    /// When it was accepted, for those who never authenticate.
    package var acceptedAt: UInt64
    package var client: ClientRecord

    package init(client: ClientRecord, acceptedAt: UInt64) {
        self.client = client
        self.acceptedAt = acceptedAt
    }

    package var is3: Bool { self.dialect >= .smb30 }
}
