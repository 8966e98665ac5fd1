import StateRecords

/// With what somebody administers the cluster from another machine: the certificate of this fingerprint counts for as long as
/// this record is there.
package struct RemoteCredential: Equatable, BinaryRecord {
    package var name: String
    /// SHA-256 of the certificate's DER, 32 bytes.
    package var fingerprint: [UInt8]
    /// When the certificate is void.
    package var untilUnixMilliseconds: UInt64

    package static let fingerprintBytes = 32
    /// Days that one may be valid: at most as long as it takes to forget who has it.
    package static let days: ClosedRange<UInt32> = 1...3650

    package init(name: String, fingerprint: [UInt8], untilUnixMilliseconds: UInt64) {
        self.name = name
        self.fingerprint = fingerprint
        self.untilUnixMilliseconds = untilUnixMilliseconds
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.name)
            writer.write(self.fingerprint)
            writer.write(self.untilUnixMilliseconds)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            RemoteCredential(
                name: try reader.read(), fingerprint: try reader.read(), untilUnixMilliseconds: try reader.read())
        }
    }
}

extension ClusterConfiguration {
    mutating func putCredential(_ credential: RemoteCredential) -> CommandResult {
        guard !self.credentials.contains(where: { $0.name == credential.name }) else {
            return .refused(.exists("credentials of the name \(credential.name)"))
        }
        guard self.credentials.count < ClusterLimits.credentials else {
            return .refused(.tooMany("credentials", limit: ClusterLimits.credentials))
        }
        self.credentials.append(credential)
        return .done
    }

    mutating func removeCredential(_ name: String) -> CommandResult {
        guard let index = self.credentials.firstIndex(where: { $0.name == name }) else {
            return .refused(.unknown("credentials of the name \(name)"))
        }
        self.credentials.remove(at: index)
        return .done
    }
}

/// A certificate with its key and its authority, PEM. Secret.
package struct CredentialsReply: Equatable, BinaryRecord {
    package var certificatePEM: String
    package var keyPEM: String
    package var authorityPEM: String

    package init(certificatePEM: String, keyPEM: String, authorityPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
        self.authorityPEM = authorityPEM
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.certificatePEM)
        writer.write(self.keyPEM)
        writer.write(self.authorityPEM)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.init(
            certificatePEM: try reader.read(), keyPEM: try reader.read(), authorityPEM: try reader.read())
    }
}

/// Prints no secret, whoever logs it.
extension CredentialsReply: CustomStringConvertible {
    package var description: String { "a certificate and its key" }
}
