import SMB2Wire
import SMBServerCore
import Synchronization

// What the core's tests do not need of files: refused as a poor file system would.

extension MemoryFileSystem {
    func volumeFacts() throws(SMBError) -> VolumeFacts { throw SMBError(.notSupported) }

    func findFile(_ path: String) throws(SMBError) -> FileKey? {
        self.contents.withLock { $0.nodes[path.lowercased()] }.map { Handle($0, stream: "").fileKey }
    }

    func renameFile(
        _ handle: any FileHandle, to path: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError) {
        try self.contents.withLock { contents throws(SMBError) in
            guard let old = contents.names(of: handle).first, let node = contents.nodes.removeValue(forKey: old) else {
                throw SMBError(.objectNameNotFound)
            }
            let isExact = node.facts.mode != 0
            let name = isExact ? path : path.lowercased()
            contents.nodes[name] = node
            node.link?.name.withLock { $0 = name }
        }
    }

    func renameStream(
        _ handles: [any FileHandle], to name: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError) {
        throw SMBError(.notSupported)
    }

    func beginMakingUnnamed(
        _ handle: any FileHandle, replacesExisting: Bool
    ) throws(SMBError) -> any StreamMoving {
        let move = MemoryStreamMove()
        self.moves.withLock { $0.append(move) }
        return move
    }

    func streamName(_ path: String) throws(SMBError) -> String? {
        let name = path.split(separator: ":", omittingEmptySubsequences: false).dropFirst().first ?? ""
        return name.isEmpty ? nil : String(name)
    }

    func linkFile(_ handle: any FileHandle, to path: String, replacesExisting: Bool) throws(SMBError) {
        self.contents.withLock { contents in
            var node = contents.names(of: handle).first.flatMap { contents.nodes[$0] }
            node?.link = Link(path.lowercased())
            contents.nodes[path.lowercased()] = node
        }
    }
}

/// What was asked of it, in order.
final class MemoryStreamMove: StreamMoving {
    let steps = Mutex<[String]>([])

    private func add(_ step: String) { self.steps.withLock { $0.append(step) } }
    func carryOut() throws(SMBError) { self.add("carryOut") }
    func cancel() { self.add("cancel") }
    func complete(_ handles: [any FileHandle], isMarked: Bool) throws(SMBError) {
        self.add("complete \(handles.count)\(isMarked ? " marked" : "")")
    }
    func takeBack() throws(SMBError) { self.add("takeBack") }
    func letGo() { self.add("letGo") }
}

extension MemoryFileSystem.Handle {
    func setBasic(_ information: BasicInformation) throws(SMBError) { throw SMBError(.notSupported) }
    func changeEndOfFile(_ size: UInt64) throws(SMBError) { throw SMBError(.notSupported) }
    func changeAllocation(_ size: UInt64) throws(SMBError) { throw SMBError(.notSupported) }
    func listExtendedAttributes(_ names: [[UInt8]]?, limit: Int) throws(SMBError) -> [ExtendedAttribute] {
        let kept = self.node.extendedAttributes
        let asked =
            names.map { names in
                names.map { name in kept.first { $0.name == name } ?? ExtendedAttribute(name: name, value: []) }
            } ?? kept
        var told: [ExtendedAttribute] = []
        for attribute in asked where told.reduce(0, { $0 + $1.byteCount }) <= limit { told.append(attribute) }
        return told
    }
    func extendedAttributeSize() throws(SMBError) -> UInt32 { 0 }
    func changeExtendedAttributes(_ attributes: [ExtendedAttribute]) throws(SMBError) { throw SMBError(.notSupported) }
    func normalizedName() throws(SMBError) -> String {
        guard let name = self.elsewhere ?? self.node.link?.name.withLock({ $0 }) else { throw SMBError(.notSupported) }
        return self.fileKey.stream.isEmpty ? name : "\(name):\(self.fileKey.stream)"
    }
    func listStreams() throws(SMBError) -> [StreamInformation] { [] }
    func securityDescriptor(_ parts: SecurityInformation) throws(SMBError) -> [UInt8] { throw SMBError(.notSupported) }
    func setSecurityDescriptor(_ bytes: [UInt8], _ parts: SecurityInformation) throws(SMBError) {
        throw SMBError(.notSupported)
    }
    func enumerate(
        visible: (@Sendable (SecurityDescriptor) -> Bool)?
    ) throws(SMBError) -> any DirectoryEnumeration { MemoryEnumeration() }
    func markSparse(_ isSparse: Bool) throws(SMBError) { throw SMBError(.notSupported) }
    func zeroRange(_ range: Range<UInt64>) throws(SMBError) { throw SMBError(.notSupported) }
    func queryAllocatedRanges(in range: Range<UInt64>, limit: Int) throws(SMBError) -> (
        ranges: [FileRange], isComplete: Bool
    ) { throw SMBError(.notSupported) }
    func readReparseData() throws(SMBError) -> ReparseData { throw SMBError(.notAReparsePoint) }
    func writeReparseData(_ data: ReparseData) throws(SMBError) { throw SMBError(.notSupported) }
    func deleteReparseData(tag: UInt32) throws(SMBError) { throw SMBError(.notSupported) }
    func trimRange(_ range: Range<UInt64>) throws(SMBError) { throw SMBError(.notSupported) }
}

/// What every folder shows: one file, which has nothing of a Mac's.
final class MemoryEnumeration: DirectoryEnumeration {
    private let item = Mutex<DirectoryItem?>(nil)
    private let isApple = Mutex(false)

    func restart(pattern: [UInt16]?) throws(SMBError) { self.unread(DirectoryItem(name: [0x66], facts: FileFacts())) }
    func showAppleFacts() { self.isApple.withLock { $0 = true } }
    func unread(_ item: DirectoryItem) { self.item.withLock { $0 = item } }

    func next() throws(SMBError) -> DirectoryItem? {
        guard var item = self.item.withLock({ $0.take() }) else { return nil }
        if self.isApple.withLock({ $0 }) {
            item.apple = AppleFacts(resourceForkSize: 0, finderInfo: nil, isWritable: true)
        }
        return item
    }
}

// POSIX opens: exact names, and what was asked is remembered.

extension MemoryFileSystem {
    func findFileExactly(_ path: String) throws(SMBError) -> FileKey? {
        self.contents.withLock { $0.nodes[path] }.map { Handle($0, stream: "").fileKey }
    }
}

extension MemoryFileSystem.Handle {
    func actAsPOSIX() { self.posixChanges.withLock { $0.append("POSIX") } }
    func changeMode(_ mode: UInt32) throws(SMBError) {
        self.posixChanges.withLock { $0.append("mode \(String(mode, radix: 8))") }
    }
    func changeOwner(uid: UInt32?, gid: UInt32?) throws(SMBError) {
        self.posixChanges.withLock { $0.append("owner \(uid.map(String.init) ?? "-") \(gid.map(String.init) ?? "-")") }
    }
    func adoptAttributes(of source: any FileHandle) throws(SMBError) {
        self.posixChanges.withLock { $0.append("attributes") }
    }
}
