import SMB2Wire

// Apple's extensions: the AAPL create context, directory attributes, copyfile.

/// What a tree connect's client negotiated with its first open.
package struct AppleExtensions: Equatable, Sendable {
    /// A Mac takes a file's number for its identity, for good; an inode's is used again. It is shown none, and makes its own.
    package var hidesFileIDs = false
    package var readsDirectoryAttributes = false
    package var copiesFiles = false
}

/// What a directory's entry is to a Mac beyond its facts.
package struct AppleFacts: Equatable, Sendable {
    package var resourceForkSize: UInt64
    /// 32 bytes; nil without.
    package var finderInfo: [UInt8]?
    /// What the file lets the client do at most.
    package var isWritable: Bool

    package init(resourceForkSize: UInt64, finderInfo: [UInt8]?, isWritable: Bool) {
        self.resourceForkSize = resourceForkSize
        self.finderInfo = finderInfo
        self.isWritable = isWritable
    }
}

package protocol AppleFileHandle: AnyObject, Sendable {
    /// The source's named streams and extended attributes in place of what this file has.
    func adoptAttributes(of source: any FileHandle) throws(SMBError)
}

extension ServerState {
    /// The icon of a rack server in the Finder.
    private static let appleModel = "RackMac"
    private static let appleCapabilities: AppleCapabilities = [.readDirectoryAttributes, .copyFile, .unixBased]

    /// The answer to a CREATE's AAPL context; what it agrees on holds for the tree connect.
    mutating func answerApple(
        _ apple: AppleRequest?, _ tree: TreeConnect, _ request: Request
    ) -> AppleResponse? {
        guard case .serverQuery(let query, let client)? = apple else { return nil }
        var answer = AppleResponse()
        if query.contains(.serverCapabilities) {
            answer.serverCapabilities = Self.appleCapabilities
            // Who was not told cannot know that an entry's fields mean something else.
            let agreed = Self.appleCapabilities.intersection(client)
            self.sessions[request.session]?.trees[UInt64(request.treeID)]?.apple = AppleExtensions(
                hidesFileIDs: true, readsDirectoryAttributes: agreed.contains(.readDirectoryAttributes),
                copiesFiles: agreed.contains(.copyFile))
        }
        if query.contains(.volumeCapabilities) {
            answer.volumeCapabilities = tree.share.isTimeMachine ? .fullSync : []
        }
        if query.contains(.model) { answer.model = Self.appleModel }
        return answer
    }

    func appleExtensions(_ request: Request) -> AppleExtensions {
        self.sessions[request.session]?.trees[UInt64(request.treeID)]?.apple ?? AppleExtensions()
    }

    /// FSCTL_SRV_COPYCHUNK without chunks, from a Mac: the file whole, with its streams and attributes.
    mutating func copyWholeFile(
        from source: Open, to target: Open, into answer: inout WireWriter
    ) throws(SMBError) -> Work {
        guard let from = source.handle, let to = target.handle, !source.isDirectory, !target.isDirectory,
            source.file != target.file
        else { throw SMBError(.invalidDeviceRequest) }
        guard !source.grantedAccess.isDisjoint(with: .reading), target.grantedAccess.contains(.writeData) else {
            throw SMBError(.accessDenied)
        }
        let size = try from.facts().endOfFile
        guard !self.isLocked(source, reading: 0, size), !self.isLocked(target, writing: 0, .max) else {
            throw SMBError(.fileLockConflict)
        }
        self.willWrite(target)
        try to.changeEndOfFile(0)
        try to.adoptAttributes(of: from)
        // The fields have 32 bits; a Mac asks for the size afterwards.
        CopyChunkResponse(
            chunksWritten: 1, chunkBytesWritten: 0, totalBytesWritten: UInt32(truncatingIfNeeded: size)
        ).encode(into: &answer)
        guard size > 0 else { return target.isWriteThrough ? .sync(to, includingName: false) : .none }
        let piece = CopyJob.Piece(sourceOffset: 0, targetOffset: 0, byteCount: size)
        return .copy(
            CopyJob(
                method: .copy, source: from, target: to, pieces: [piece], isDurable: target.isWriteThrough,
                answer: .chunks))
    }
}
