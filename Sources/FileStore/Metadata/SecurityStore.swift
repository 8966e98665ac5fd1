import CLinux
import Glibc
import SMB2Wire

/// Security descriptors in `security.NTACL`, in the NDR of Samba's xattr_NTACL: the version twice (2 bytes each), a pointer
/// (4), then by version
///
/// | version | before the descriptor | the descriptor starts at |
/// |---|---|---|
/// | 1 | nothing | 8 |
/// | 2 | pointer (4), hash (16) | 28 |
/// | 3 | pointer (4), hash type (2), hash (64) | 80 |
/// | 4 | pointer (4), hash type (2), hash (64), description (NUL-terminated), time (8), hash (64), each 4-aligned | 160, usually |
///
/// and the offsets within the descriptor count from the start of the blob. The hashes let Samba notice that somebody changed
/// the POSIX ACL; version 1, which has none and which it takes as it is, is what we write.
enum SecurityStore {
    static let name = Array("security.NTACL".utf8)
    private static let version1Offset = 8

    /// Nil where the file has none. STATUS_INVALID_SECURITY_DESCR and its like for what is none.
    static func read(_ descriptor: Int32) throws(FileError) -> SecurityPieces? {
        guard let blob = try XAttr.get(descriptor, self.name) else { return nil }
        guard let start = self.descriptorOffset(blob) else {
            throw FileError(.invalidSecurityDescr, "a security descriptor of another version")
        }
        return try SecurityPieces(
            parsing: blob.span.bytes.extracting(start..<blob.count), offsetsFromBefore: start)
    }

    /// Where the descriptor begins; nil for a blob that is none of these.
    static func descriptorOffset(_ blob: [UInt8]) -> Int? {
        guard blob.count >= self.version1Offset else { return nil }
        let start: Int
        switch blob.span.bytes.load(UInt16.self, at: 0) {
        case 1: start = self.version1Offset
        case 2: start = 28
        case 3: start = 80
        case 4:
            guard let end = blob.dropFirst(78).firstIndex(of: 0) else { return nil }
            start = ((end + 1 + 3) & ~3) + 8 + 64
        default: return nil
        }
        return start <= blob.count ? start : nil
    }

    static func encode(_ pieces: SecurityPieces) -> [UInt8] {
        // The pointer's value is NDR's referent id: anything but 0.
        [1, 0, 1, 0, 0, 0, 2, 0] + pieces.encoded(offsetsFromBefore: self.version1Offset)
    }

    /// A whole descriptor from the wire.
    static func write(_ descriptor: Int32, _ selfRelative: [UInt8]) throws(FileError) {
        try self.write(descriptor, try SecurityPieces(parsing: selfRelative.span.bytes))
    }

    static func write(_ descriptor: Int32, _ pieces: SecurityPieces) throws(FileError) {
        let blob = self.encode(pieces)
        guard blob.count <= FileStoreLimits.securityDescriptorBytes else {
            throw FileError(.invalidSecurityDescr, "a security descriptor too large")
        }
        do {
            try XAttr.set(descriptor, self.name, blob)
        } catch let error where [E2BIG, ERANGE].contains(error.code) {
            throw FileError(.invalidSecurityDescr, "a security descriptor too large for the file system")
        }
    }
}

extension OpenFile {
    /// Self-relative. A file without a descriptor of its own has what `Volume.security` says.
    package func securityDescriptor(_ parts: SecurityParts = .all) throws(FileError) -> [UInt8] {
        try self.securityPieces().selecting(parts).encoded()
    }

    private func securityPieces() throws(FileError) -> SecurityPieces {
        do throws(FileError) {
            if let kept = try SecurityStore.read(self.handle.number) { return kept }
        } catch {
            // What is damaged is replaced by what holds in its place.
            guard error.code == 0 else { throw error }
        }
        return try SecurityPieces(self.securityInForce())
    }

    /// The parts replaced by those of a self-relative descriptor, [MS-FSA] 2.1.5.16.
    package func setSecurityDescriptor(_ bytes: [UInt8], parts: SecurityParts) throws(FileError) {
        try self.volume.requireWritable()
        var pieces = try self.securityPieces()
        pieces.merge(try SecurityPieces(parsing: bytes.span.bytes), parts)
        try SecurityStore.write(self.handle.number, pieces)
        if self.isDirectory { self.volume.directorySecurities.forgetAll() }
    }
}
