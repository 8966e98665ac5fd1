import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// Who may open and make what: decided by whoever calls, asked by the file system when it knows what is at the path.
package protocol OpenAuthority: Sendable {
    /// What is granted on a file that exists.
    /// - Parameter parent: the descriptor of its directory; nil at the root.
    func admit(
        security: SecurityDescriptor, isDirectory: Bool, isReadOnly: Bool, action: CreateAction,
        parent: () throws(FileError) -> SecurityDescriptor?
    ) throws(FileError) -> AccessMask
    /// What is granted on a new file, and what descriptor it gets.
    /// - Parameter explicit: self-relative, as the request brings it.
    func admitCreation(
        isDirectory: Bool, parent: SecurityDescriptor, explicit: [UInt8]?
    ) throws(FileError) -> (access: AccessMask, security: SecurityDescriptor)
}

extension SecurityDescriptor {
    /// In place of a descriptor that is nonsense, or that cannot be: it must neither open a file to everybody nor keep
    /// the administrators from repairing it.
    fileprivate static let closed = SecurityDescriptor(
        control: .daclPresent, owner: .administrators, group: .administrators, dacl: ACL(entries: []))

    /// Whether it is kept in memory once it was read: a client may make many that are as long as there can be.
    var isKept: Bool {
        (self.dacl?.entries.count ?? 0) + (self.sacl?.entries.count ?? 0) <= FileStoreLimits.keptSecurityEntries
    }

    /// What somebody's file has of its directory's that was made by other means than this server.
    static func inherited(
        from parent: SecurityDescriptor, owner: SID, group: SID, isDirectory: Bool
    ) -> SecurityDescriptor {
        let heirs = ACLInheritance(owner: owner, group: group, isDirectory: isDirectory)
        let isMarked = parent.control.contains(.daclAutoInherited)
        let list = ACL(
            revision: parent.dacl?.revision ?? 2,
            entries: heirs.inherit(parent.dacl?.entries ?? [], isMarked: isMarked))
        // An entry grows when its creator is put in, and on a directory becomes two. Made here, the file would have
        // been refused.
        guard list.isEncodable else { return .closed }
        return SecurityDescriptor(
            control: isMarked ? [.daclPresent, .daclAutoInherited] : .daclPresent, owner: owner, group: group,
            dacl: list)
    }
}

/// What `security.NTACL` said when it was read.
enum KnownSecurity: Sendable {
    case absent
    case descriptor(SecurityDescriptor)
}

/// The descriptors of directories by their paths, for what is made in them and for files that have none of their own. A change
/// through this server is seen at once (`forgetAll`), one that somebody else makes after at most a second.
final class DirectorySecurities: Sendable {
    private static let lifetimeMilliseconds: Int64 = 1000

    private struct Entries: Sendable {
        var known: [[UInt8]: (security: SecurityDescriptor, readAt: Int64)] = [:]
        /// Raised by every change: what was read before it is not kept after it.
        var generation: UInt64 = 0
    }

    private let entries = Mutex(Entries())

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    func forgetAll() {
        self.entries.withLock {
            $0.known.removeAll(keepingCapacity: true)
            $0.generation += 1
        }
    }

    func find(
        _ path: [UInt8], read: () throws(FileError) -> SecurityDescriptor
    ) throws(FileError) -> SecurityDescriptor {
        let now = Self.now
        let (kept, generation) = self.entries.withLock { entries -> (SecurityDescriptor?, UInt64) in
            guard let entry = entries.known[path], now - entry.readAt < Self.lifetimeMilliseconds else {
                return (nil, entries.generation)
            }
            return (entry.security, entries.generation)
        }
        if let kept { return kept }
        let security = try read()
        self.entries.withLock { entries in
            guard entries.generation == generation, security.isKept else { return }
            if entries.known.count >= FileStoreLimits.directorySecurities { entries.known.removeAll() }
            entries.known[path] = (security, now)
        }
        return security
    }
}

extension Volume {
    /// The descriptor in force of an open file (O_PATH will do) whose status was just read.
    ///
    /// One that has none of its own (made by other means than this server) has what it would have inherited if it had been made
    /// here: otherwise whoever copies files into a folder on the server itself would open them to all who know their names. At
    /// the root the volume's default stands.
    func security(
        of descriptor: borrowing Descriptor, _ status: borrowing FileStatus, at path: NTPath
    ) throws(FileError) -> SecurityDescriptor {
        if let own = try self.ownSecurity(descriptor, status) { return own }
        return try self.defaultSecurity(status, directory: path.isRoot ? nil : path.parentBytes)
    }

    /// Symbolic links and special files have none.
    private func ownSecurity(
        _ descriptor: borrowing Descriptor, _ status: borrowing FileStatus
    ) throws(FileError) -> SecurityDescriptor? {
        let (isRegular, isDirectory) = (status.isRegular, status.isDirectory)
        guard isRegular || isDirectory else { return nil }
        let number = descriptor.number
        let known = try self.attributeCache.security(status) { () throws(FileError) -> KnownSecurity in
            do throws(FileError) {
                guard let own = try SecurityStore.read(number) else { return .absent }
                return .descriptor(try own.descriptor())
            } catch {
                guard error.code == 0 else { throw error }
                return .descriptor(.closed)
            }
        }
        if case .descriptor(let own) = known { return own }
        return nil
    }

    private func defaultSecurity(
        _ status: borrowing FileStatus, directory: [UInt8]?
    ) throws(FileError) -> SecurityDescriptor {
        guard case .everyone = self.options.defaultSecurity, let directory else {
            return self.rootSecurity(status)
        }
        return .inherited(
            from: try self.directorySecurity(directory), owner: SID(host: status.raw.uid),
            group: SID(hostGroup: status.raw.gid), isDirectory: status.isDirectory)
    }

    /// The descriptor of a directory by its path, which means another directory to a POSIX open than to others.
    package func directorySecurity(_ path: [UInt8], isPOSIX: Bool = false) throws(FileError) -> SecurityDescriptor {
        let key = isPOSIX ? path + [0] : path
        return try self.directorySecurities.find(key) { () throws(FileError) -> SecurityDescriptor in
            let directory = try self.findDirectory(path, isPOSIX: isPOSIX)
            let status = try FileStatus(directory)
            if let own = try self.ownSecurity(directory, status) { return own }
            let parent = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
            return try self.defaultSecurity(status, directory: path.isEmpty ? nil : parent)
        }
    }

    /// What CREATE is granted on an existing file; the descriptor that decided it, nil where nobody decides.
    func authorize(
        _ request: inout OpenRequest, _ target: borrowing Descriptor, _ status: borrowing FileStatus,
        _ information: FileInformation, _ action: CreateAction
    ) throws(FileError) -> SecurityDescriptor? {
        guard let authority = request.authority else { return nil }
        let path = request.path
        let security = try self.security(of: target, status, at: path)
        let isPOSIX = request.posix != nil
        request.access = try authority.admit(
            security: security, isDirectory: information.isDirectory,
            isReadOnly: information.isReadOnly(toPOSIX: isPOSIX), action: action
        ) {
            () throws(FileError) -> SecurityDescriptor? in
            guard !path.isRoot else { return nil }
            return try self.directorySecurity(path.parentBytes, isPOSIX: isPOSIX)
        }
        return security
    }

    /// The same for what is about to be made: the request comes back with what is granted and with the descriptor to write.
    func authorizeCreation(_ request: OpenRequest) throws(FileError) -> (OpenRequest, SecurityDescriptor?) {
        guard let authority = request.authority else { return (request, nil) }
        let parent = try self.directorySecurity(request.path.parentBytes, isPOSIX: request.posix != nil)
        let (access, security) = try authority.admitCreation(
            isDirectory: request.options.contains(.directoryFile), parent: parent,
            explicit: request.securityDescriptor)
        var granted = request
        granted.access = access
        var writer = WireWriter()
        security.encode(into: &writer)
        granted.securityDescriptor = writer.bytes
        return (granted, security)
    }
}

extension OpenFile {
    /// The descriptor in force.
    package func securityInForce() throws(FileError) -> SecurityDescriptor {
        try self.volume.security(of: self.handle, try FileStatus(self.handle), at: try self.currentPath())
    }

    /// Its directory's; nil at the root.
    package func directorySecurity() throws(FileError) -> SecurityDescriptor? {
        let path = try self.currentPath()
        guard !path.isRoot else { return nil }
        return try self.volume.directorySecurity(path.parentBytes, isPOSIX: self.isPOSIX)
    }
}
