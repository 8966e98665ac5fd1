import SMB2Wire
import SMBServerCore
import StateRecords
import Synchronization

/// A file system in memory for the core's tests: names without folders' rules, no data.
final class MemoryFileSystem: FileSystem {
    struct Node: Sendable {
        var number: UInt64
        var facts = FileFacts()
        var security = SecurityDescriptor(
            control: [.daclPresent, .daclAutoInherited], owner: .administrators, group: .administrators,
            dacl: ACL(entries: [
                ACE(kind: .accessAllowed, flags: [.objectInherit, .containerInherit], mask: .fileAll, sid: .everyone)
            ]))
        /// Which request made it.
        var creation: Creation?
        /// Of the name that it is found by; a file has one for each of its names. Nil: a test put it there.
        var link: Link?
        var extendedAttributes: [ExtendedAttribute] = []

        static var root: Node {
            var root = Node(number: 1)
            root.facts.isDirectory = true
            root.facts.attributes = .directory
            root.facts.fileID = 1
            return root
        }
    }

    /// A name of a file, as the kernel follows it.
    final class Link: Sendable {
        let name: Mutex<String>

        init(_ name: String) { self.name = Mutex(name) }
    }

    struct Contents: Sendable {
        /// By lower-case path; the share's root is the empty one. What POSIX opens make: as it is spelled.
        var nodes: [String: Node] = ["": .root]
        var next: UInt64 = 100

        /// The names of an open file: the one that it was opened by where that is still there, else all.
        func names(of handle: any FileHandle) -> [String] {
            let all = self.nodes.filter { Handle($0.value, stream: "").fileKey.identity == handle.fileKey.identity }
            let link = (handle as? Handle)?.node.link
            let own = link.flatMap { link in all.first { $0.value.link === link } }
            return own.map { [$0.key] } ?? all.keys.sorted()
        }
    }

    let contents = Mutex(Contents())
    /// What reopening and deleting a file meets; nil: nothing.
    let failure = Mutex<NTStatus?>(nil)
    /// Streams that were to become their files' data, the oldest first.
    let moves = Mutex<[MemoryStreamMove]>([])
    let volumeID: UInt64 = 0x1122
    /// What there is of previous versions, the newest first; a path into one is a name like any other here.
    let tokens = Mutex<[SnapshotToken]>([])

    func snapshotTokens() throws(SMBError) -> [SnapshotToken] { self.tokens.withLock { $0 } }

    final class Handle: FileHandle {
        let node: Node
        /// What a POSIX open asked for.
        let posixChanges = Mutex<[String]>([])
        let fileKey: FileKey
        let parent: SecurityDescriptor?
        /// Where it is, of one that was reopened elsewhere than was said.
        let elsewhere: String?
        var isAtRecordedPath: Bool { self.elsewhere == nil }
        let wasFoundByName: Bool

        init(
            _ node: Node, stream: String, parent: SecurityDescriptor? = nil, elsewhere: String? = nil,
            wasFoundByName: Bool = true
        ) {
            self.wasFoundByName = wasFoundByName
            self.node = node
            self.parent = parent
            self.elsewhere = elsewhere
            let number = node.number
            self.fileKey = FileKey(
                identity: FileIdentity(
                    fileSystem: GUID16(low: 1, high: 2), handleType: 1,
                    handle: (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }), stream: stream)
        }

        func facts() throws(SMBError) -> FileFacts { self.node.facts }

        func effectiveSecurity() throws(SMBError) -> SecurityDescriptor { self.node.security }
        func parentSecurity() throws(SMBError) -> SecurityDescriptor? { self.parent }
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "\\").map { path[..<$0].lowercased() } ?? ""
    }

    func directorySecurity(_ path: String, isPOSIX: Bool) throws(SMBError) -> SecurityDescriptor {
        guard let node = self.contents.withLock({ $0.nodes[path.lowercased()] }) else {
            throw SMBError(.objectPathNotFound)
        }
        return node.security
    }

    func protect(_ path: String, _ entries: [ACE]) {
        self.contents.withLock { $0.nodes[path.lowercased()]?.security.dacl = ACL(entries: entries) }
    }

    var names: [String] { self.contents.withLock { $0.nodes.keys.filter { !$0.isEmpty }.sorted() } }

    private static func split(_ path: String) -> (name: String, stream: String) {
        guard let colon = path.firstIndex(of: ":") else { return (path.lowercased(), "") }
        return (path[..<colon].lowercased(), String(path[path.index(after: colon)...]))
    }

    func openFile(_ request: FileOpenRequest) throws(SMBError) -> OpenedFile {
        var (name, stream) = Self.split(request.path)
        if request.posixMode != nil { (name, stream) = (request.path, "") }
        return try self.contents.withLock { contents throws(SMBError) in
            if let node = contents.nodes[name] {
                let action: CreateAction
                if let again = request.creation, again.isReplay, let first = node.creation,
                    first.createGUID == again.createGUID, first.clientGUID == again.clientGUID
                {
                    return OpenedFile(
                        handle: Handle(node, stream: stream), action: .created, facts: node.facts,
                        grantedAccess: request.access, security: node.security)
                }
                switch request.disposition {
                case .create: throw SMBError(.objectNameCollision)
                case .open, .openIf: action = .opened
                case .overwrite, .overwriteIf: action = .overwritten
                case .supersede: action = .superseded
                }
                let parent = name.isEmpty ? nil : contents.nodes[Self.parent(name)]?.security
                let found = AccessRequest.Found(
                    security: node.security, isDirectory: node.facts.isDirectory, isReadOnly: false, action: action)
                let granted = try request.rights.admit(found) { () throws(SMBError) in parent }
                return OpenedFile(
                    handle: Handle(node, stream: stream, parent: parent), action: action, facts: node.facts,
                    grantedAccess: granted, security: node.security)
            }
            guard request.disposition != .open, request.disposition != .overwrite else {
                throw SMBError(.objectNameNotFound)
            }
            var node = Node(number: contents.next)
            contents.next += 1
            node.facts.isDirectory = request.options.contains(.directoryFile)
            node.facts.attributes = node.facts.isDirectory ? .directory : .archive
            node.facts.fileID = node.number
            node.creation = request.creation
            node.link = Link(name)
            let parent = contents.nodes[Self.parent(name)]?.security ?? Node.root.security
            let (granted, security) = try request.rights.admitCreation(
                isDirectory: node.facts.isDirectory, in: parent, explicit: nil)
            node.security = security
            if let mode = request.posixMode { node.facts.mode = mode | (node.facts.isDirectory ? 0o040000 : 0o100000) }
            contents.nodes[name] = node
            return OpenedFile(
                handle: Handle(node, stream: stream, parent: parent), action: .created, facts: node.facts,
                grantedAccess: granted, security: security)
        }
    }

    func overwriteFile(_ handle: any FileHandle, _ request: FileOpenRequest) throws(SMBError) -> FileFacts {
        try handle.facts()
    }

    func reopenFile(
        _ key: FileKey, path: String, formerPath: String, access: AccessMask
    ) throws(SMBError) -> any FileHandle {
        if let failure = self.failure.withLock({ $0 }) { throw SMBError(failure) }
        let found = self.contents.withLock { contents in
            let all = contents.nodes.filter { Handle($0.value, stream: key.stream).fileKey == key }
            return all.first { $0.key == Self.split(path).name } ?? all.min { $0.key < $1.key }
        }
        guard let found else { throw SMBError(.objectNameNotFound) }
        return Handle(
            found.value, stream: key.stream, elsewhere: found.key == Self.split(path).name ? nil : found.key,
            wasFoundByName: [path, formerPath].contains { Self.split($0).name == found.key })
    }

    func makeUnnamedFile() throws(SMBError) -> any FileHandle { throw SMBError(.notSupported) }

    func checkDeletable(_ handle: any FileHandle, ignoresReadOnly: Bool) throws(SMBError) {
        let isFull = self.contents.withLock { contents in
            contents.names(of: handle).contains { name in contents.nodes.keys.contains { $0.hasPrefix(name + "\\") } }
        }
        guard !isFull else { throw SMBError(.directoryNotEmpty) }
    }

    func deleteFile(_ handle: any FileHandle) throws(SMBError) {
        if let failure = self.failure.withLock({ $0 }) { throw SMBError(failure) }
        self.contents.withLock { contents in
            for name in contents.names(of: handle) { contents.nodes[name] = nil }
        }
    }
}
