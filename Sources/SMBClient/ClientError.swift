import SMB2Wire
import SMBAuth
import SMBCrypto

/// What a caller of this client has to tell apart.
package enum ClientError: Error, Sendable {
    /// No connection could be made, or the one there was is gone.
    case disconnected(String)
    /// The server did not answer in time.
    case timedOut(String)
    /// The server answered with this.
    case status(NTStatus, SMB2Command)
    /// The server broke the protocol.
    case violation(String)
    case wire(WireError)
    case authentication(Refusal)
    case crypto(CryptoError)

    /// Worth a new connection: nothing was said about the request itself.
    package var isConnectionLoss: Bool {
        switch self {
        case .disconnected, .timedOut: true
        default: false
        }
    }

    package var status: NTStatus? {
        if case .status(let status, _) = self { status } else { nil }
    }
}

extension ClientError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .disconnected(let why): "disconnected: \(why)"
        case .timedOut(let what): "timed out: \(what)"
        case .status(let status, let command): "\(command): \(status)"
        case .violation(let what): "protocol violation: \(what)"
        case .wire(let error): "\(error.what): \(error.reason)"
        case .authentication(let refusal): "authentication: \(refusal)"
        case .crypto(let error): "crypto: \(error)"
        }
    }
}

func wire<R>(_ body: () throws(WireError) -> R) throws(ClientError) -> R {
    do throws(WireError) { return try body() } catch { throw .wire(error) }
}

func crypto<R>(_ body: () throws(CryptoError) -> R) throws(ClientError) -> R {
    do throws(CryptoError) { return try body() } catch { throw .crypto(error) }
}
