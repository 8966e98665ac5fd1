import SMB2Wire

/// FSCTL_OFFLOAD_READ and FSCTL_OFFLOAD_WRITE. [MS-FSCC] 2.3.41 to 2.3.44, [MS-FSA] 2.1.5.10.17, 2.1.5.10.18.
///
/// A token stands for the data as they were: reading clones them into a file without a name, whose blocks are shared with
/// the source until somebody writes there. Tokens do not outlive the server: a client whose token is unknown reads and
/// writes by itself.
extension ServerState {
    mutating func offloadRead(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> Work {
        guard Int(ioctl.maximumOutputResponse) >= OffloadRead.outputByteCount else { throw SMBError(.bufferTooSmall) }
        let read = try parsing { () throws(WireError) in try OffloadRead(parsing: input) }
        guard !open.grantedAccess.isDisjoint(with: .reading) else { throw SMBError(.accessDenied) }
        guard let fileSystem = open.share.fileSystem, !open.isDirectory, handle.fileKey.stream.isEmpty else {
            throw SMBError(.offloadReadFileNotSupported)
        }
        let volume = try fileSystem.volumeFacts()
        guard volume.canShareBlocks else { throw SMBError(.notSupported, "a file system without shared blocks") }
        let block = UInt64(volume.sectorsPerUnit) * UInt64(volume.bytesPerSector)
        guard Self.isFileRange(read.offset, read.byteCount), read.offset % block == 0 else {
            throw SMBError(.invalidParameter, "alignment")
        }
        let end = try handle.facts().endOfFile
        guard read.byteCount > 0 else {
            OffloadRead.encodeAnswer(byteCount: 0, OffloadToken(type: 0, high: 0, low: 0), into: &answer)
            return .none
        }
        guard read.offset < end else { throw SMBError(.endOfFile) }
        guard !self.isLocked(open, reading: read.offset, read.byteCount) else { throw SMBError(.fileLockConflict) }
        // Less than was asked for: the client goes on behind it.
        let byteCount = min(read.byteCount, end - read.offset, OffloadTokens.maximumByteCount)
        let copy = try fileSystem.makeUnnamedFile()
        let random = self.makeSalt().span.bytes
        let token = OffloadToken(
            type: OffloadTokens.type, high: random.load(UInt64.self, at: 0), low: random.load(UInt64.self, at: 8))
        self.offloadTokens.insert(
            token, copy, byteCount: byteCount, timeToLiveMilliseconds: read.timeToLiveMilliseconds, now: self.now)
        OffloadRead.encodeAnswer(byteCount: byteCount, token, into: &answer)
        return .copy(
            CopyJob(
                method: .clone, source: handle, target: copy,
                pieces: [.init(sourceOffset: read.offset, targetOffset: 0, byteCount: byteCount)], isDurable: false,
                answer: .status))
    }

    mutating func offloadWrite(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ open: Open, _ handle: any FileHandle, into answer: inout WireWriter
    ) throws(SMBError) -> Work {
        guard Int(ioctl.maximumOutputResponse) >= OffloadWrite.outputByteCount else { throw SMBError(.bufferTooSmall) }
        let write = try parsing { () throws(WireError) in try OffloadWrite(parsing: input) }
        guard open.grantedAccess.contains(.writeData) else { throw SMBError(.accessDenied) }
        guard !open.isDirectory, handle.fileKey.stream.isEmpty else { throw SMBError(.offloadWriteFileNotSupported) }
        guard !open.share.isReadOnly else { throw SMBError(.mediaWriteProtected) }
        guard Self.isFileRange(write.offset, write.byteCount), Self.isFileRange(write.transferOffset, write.byteCount)
        else { throw SMBError(.invalidParameter) }
        var byteCount = min(write.byteCount, OffloadTokens.maximumByteCount)
        var source: (any FileHandle)?
        if write.token.type != OffloadToken.zeroData {
            guard let entry = self.offloadTokens.find(write.token, now: self.now) else {
                throw SMBError(.invalidToken)
            }
            guard write.transferOffset < entry.byteCount || byteCount == 0 else { throw SMBError(.invalidParameter) }
            byteCount = min(byteCount, entry.byteCount - min(write.transferOffset, entry.byteCount))
            source = entry.file
        }
        guard byteCount > 0 else {
            OffloadWrite.encodeAnswer(byteCount: 0, into: &answer)
            return .none
        }
        // The target's size is the client's to set.
        let end = try handle.facts().endOfFile
        guard write.offset < end else { throw SMBError(.endOfFile) }
        byteCount = min(byteCount, end - write.offset)
        guard !self.isLocked(open, writing: write.offset, byteCount) else { throw SMBError(.fileLockConflict) }
        self.willWrite(open)
        OffloadWrite.encodeAnswer(byteCount: byteCount, into: &answer)
        return .copy(
            CopyJob(
                method: source == nil ? .zero : .copy, source: source, target: handle,
                pieces: [
                    .init(sourceOffset: write.transferOffset, targetOffset: write.offset, byteCount: byteCount)
                ], isDurable: open.isWriteThrough, answer: .offloadWrite))
    }
}

/// What tokens stand for.
package struct OffloadTokens: Sendable {
    /// Tokens at a time; one more and the oldest is forgotten.
    package static let limit = 256
    /// What one token stands for at most, and one FSCTL moves.
    package static let maximumByteCount: UInt64 = 256 << 20
    package static let defaultMilliseconds: UInt32 = 30_000
    package static let maximumMilliseconds: UInt32 = 120_000
    /// Any value that is none of the well-known ones.
    static let type: UInt32 = 0x484F_4C44

    struct Entry: Sendable {
        var token: OffloadToken
        /// A file without a name that holds the data.
        var file: any FileHandle
        var byteCount: UInt64
        /// In the shell's milliseconds.
        var expiresAt: UInt64
    }

    /// The oldest first.
    private(set) var entries: [Entry] = []

    mutating func insert(
        _ token: OffloadToken, _ file: any FileHandle, byteCount: UInt64, timeToLiveMilliseconds: UInt32, now: UInt64
    ) {
        self.expire(now: now)
        if self.entries.count >= Self.limit { self.entries.removeFirst() }
        let milliseconds =
            timeToLiveMilliseconds == 0
            ? Self.defaultMilliseconds : min(timeToLiveMilliseconds, Self.maximumMilliseconds)
        self.entries.append(
            Entry(token: token, file: file, byteCount: byteCount, expiresAt: now &+ UInt64(milliseconds)))
    }

    func find(_ token: OffloadToken, now: UInt64) -> Entry? {
        self.entries.first { $0.token == token && $0.expiresAt > now }
    }

    mutating func expire(now: UInt64) {
        if !self.entries.isEmpty { self.entries.removeAll { $0.expiresAt <= now } }
    }
}
