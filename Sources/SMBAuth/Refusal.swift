import SMBCrypto

/// Why somebody is not let in. To the client the first group is STATUS_LOGON_FAILURE without a word more; the
/// details are for the log.
package enum Refusal: Error, Equatable, Sendable {
    case unknownUser(String)
    case wrongPassword(String)
    /// The message integrity code of the NTLM exchange or SPNEGO's mechListMIC does not match: somebody changed
    /// the handshake on its way.
    case tampered
    /// LM or NTLMv1 responses, which this server never takes.
    case ntlmV1
    /// Nobody's credentials, as for IPC$ in old times.
    case anonymous
    /// No mechanism that we have, or NTLM without Unicode or extended session security.
    case unsupported(String)
    /// A token that is not what it should be at this point.
    case malformed(String)
    /// libcrypto would not; ours, not the client's.
    case crypto(CryptoError)

    /// The token itself is broken: STATUS_INVALID_PARAMETER rather than STATUS_LOGON_FAILURE.
    package var isMalformed: Bool {
        if case .malformed = self { true } else { false }
    }
}

/// Runs what can fail in libcrypto where only refusals may be thrown.
func crypto<R>(_ body: () throws(CryptoError) -> R) throws(Refusal) -> R {
    do throws(CryptoError) { return try body() } catch { throw .crypto(error) }
}
