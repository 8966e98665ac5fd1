import COpenSSL

/// MD4 and RC4, which NTLM cannot do without and OpenSSL 3 keeps in its legacy provider. The provider is
/// loaded into a library context of our own, so that nothing else in the process can reach them.
///
/// On Debian the provider is `ossl-modules/legacy.so` in package libssl3. It is a shared object that
/// needs the shared libcrypto: a program that links libcrypto statically cannot load it, and Debian's
/// libcrypto.a does not contain it. Swift's own libraries may be linked statically, libcrypto may not.
struct LegacyAlgorithms: @unchecked Sendable {
    // Sendable: fetched algorithms are immutable, reference-counted by libcrypto under its own locks,
    // and live as long as the process.
    let md4: OpaquePointer
    let rc4: OpaquePointer

    private static let result = Result<LegacyAlgorithms, CryptoError> { () throws(CryptoError) in try Self() }

    static func loaded() throws(CryptoError) -> LegacyAlgorithms { try Self.result.get() }

    private init() throws(CryptoError) {
        guard let library = OSSL_LIB_CTX_new() else { throw .openSSL("OSSL_LIB_CTX_new") }
        guard OSSL_PROVIDER_load(library, "legacy") != nil else {
            ERR_clear_error()
            throw .unavailable(
                "OpenSSL's legacy provider, which NTLM needs for MD4 and RC4, does not load. It is "
                    + "ossl-modules/legacy.so of package libssl3 (openssl-provider-legacy from Debian 13 on); "
                    + "`openssl list -providers -provider legacy` shows what libcrypto finds.")
        }
        guard let md4 = EVP_MD_fetch(library, "MD4", nil), let rc4 = EVP_CIPHER_fetch(library, "RC4", nil) else {
            ERR_clear_error()
            throw .unavailable("OpenSSL's legacy provider is there but offers no MD4 or no RC4.")
        }
        self.md4 = md4
        self.rc4 = rc4
    }
}

extension CryptoError {
    /// Nil when everything that NTLM needs is there; for a daemon to say so when it starts, and not when
    /// the first user logs in.
    package static func checkLegacyAlgorithms() -> CryptoError? {
        do throws(CryptoError) {
            _ = try LegacyAlgorithms.loaded()
            return nil
        } catch {
            return error
        }
    }
}

/// An RC4 stream. Its state goes on from call to call, as NTLM's signing wants it.
package struct RC4: ~Copyable {
    private let context: OpaquePointer

    package init(key: [UInt8]) throws(CryptoError) {
        let algorithm = try LegacyAlgorithms.loaded().rc4
        guard let context = EVP_CIPHER_CTX_new() else { throw .openSSL("RC4") }
        guard EVP_EncryptInit_ex(context, algorithm, nil, nil, nil) == 1,
            EVP_CIPHER_CTX_set_key_length(context, Int32(clamping: key.count)) == 1,
            EVP_EncryptInit_ex(context, nil, nil, key, nil) == 1
        else {
            EVP_CIPHER_CTX_free(context)
            throw .openSSL("RC4")
        }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(self.context) }

    package mutating func apply(_ bytes: [UInt8]) throws(CryptoError) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        guard let count = Int32(exactly: bytes.count) else { throw .malformed("RC4 input too long") }
        var result = [UInt8](repeating: 0, count: bytes.count)
        var length: Int32 = 0
        guard EVP_EncryptUpdate(self.context, &result, &length, bytes, count) == 1, length == count else {
            throw .openSSL("RC4")
        }
        return result
    }

    package static func apply(key: [UInt8], _ bytes: [UInt8]) throws(CryptoError) -> [UInt8] {
        var stream = try RC4(key: key)
        return try stream.apply(bytes)
    }
}
