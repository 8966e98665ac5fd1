import COpenSSL

/// What can go wrong in here. Only ``authentication`` and ``malformed`` are a peer's doing.
package enum CryptoError: Error, Equatable, Sendable {
    /// libcrypto on this machine does not offer the algorithm; the text says which and what to install.
    case unavailable(String)
    /// libcrypto refused an operation it should not refuse.
    case failed(String)
    /// A signature or an authentication tag does not match.
    case authentication
    /// Too short, too long, or lengths that contradict each other.
    case malformed(String)

    /// `operation` and libcrypto's own reason, which this takes off the thread's error queue.
    @inline(never)
    static func openSSL(_ operation: String) -> CryptoError {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0, let reason = ERR_reason_error_string(code) else { return .failed(operation) }
        return .failed("\(operation): \(String(cString: reason))")
    }
}
