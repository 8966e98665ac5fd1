import SMB2Wire
import StateRecords

// What the core asks of files. SMBServer makes FileStore's types conform; the core's tests bring a file system in
// memory. All is synchronous: whatever may wait (fsync, the data path) is the shell's (`Work`).
//
// Class existentials on purpose: a call is one witness table away (1-2 ns), and the core stays one specialised body.

/// What CREATE asks for, [MS-FSA] 2.1.5.1.
package struct FileOpenRequest: Sendable {
    /// Backslashes between components, none in front; may end in ":stream:$DATA". Empty: the share's root.
    package var path: String
    /// Specific rights only; what `rights` grants takes their place.
    package var access: AccessMask
    /// To be asked when it is known what is at the path: before an existing file is opened, before a new one is made.
    package var rights: AccessRequest
    package var disposition: CreateDisposition
    package var options: CreateOptions
    package var attributes: FileAttributes
    package var allocationSize: UInt64 = 0
    /// SMB2_CREATE_SD_BUFFER, self-relative; for a new file.
    package var securityDescriptor: [UInt8]?
    /// SMB2_CREATE_EA_BUFFER, a chain of FILE_FULL_EA_INFORMATION; for a new or overwritten file.
    package var extendedAttributes: [UInt8] = []
    /// Set for a persistent handle: what this request creates is known again if it comes a second time, after a crash that
    /// took the open's record.
    package var creation: Creation?
    /// Set for a POSIX open: the permission bits of what it creates.
    package var posixMode: UInt32?

    package init(
        path: String, access: AccessMask, rights: AccessRequest, disposition: CreateDisposition,
        options: CreateOptions, attributes: FileAttributes
    ) {
        self.path = path
        self.access = access
        self.rights = rights
        self.disposition = disposition
        self.options = options
        self.attributes = attributes
    }
}

/// What makes one CREATE the same as another. [MS-SMB2] 3.3.5.9.10.
package struct Creation: Equatable, Sendable {
    package var createGUID: GUID
    package var clientGUID: GUID
    /// SMB2_FLAGS_REPLAY_OPERATION: sent before, perhaps carried out.
    package var isReplay: Bool

    package init(createGUID: GUID, clientGUID: GUID, isReplay: Bool) {
        self.createGUID = createGUID
        self.clientGUID = clientGUID
        self.isReplay = isReplay
    }
}

/// What CREATE and CLOSE answer, and what the information levels of times and sizes are made of.
package struct FileFacts: Equatable, Sendable {
    package var attributes: FileAttributes = .normal
    package var creationTime = FileTime.zero
    package var lastAccessTime = FileTime.zero
    package var lastWriteTime = FileTime.zero
    package var changeTime = FileTime.zero
    package var endOfFile: UInt64 = 0
    package var allocationSize: UInt64 = 0
    package var linkCount: UInt32 = 1
    /// The inode's number: FileInternalInformation, SMB2_CREATE_QUERY_ON_DISK_ID.
    package var fileID: UInt64 = 0
    package var isDirectory = false
    package var reparseTag: UInt32 = 0
    /// As stat(2) has them.
    package var mode: UInt32 = 0
    package var uid: UInt32 = 0
    package var gid: UInt32 = 0

    package init() {}
}

package struct OpenedFile: Sendable {
    package var handle: any FileHandle
    /// `.overwritten` and `.superseded`: the old contents are still there, `FileSystem.overwrite` is to follow.
    package var action: CreateAction
    package var facts: FileFacts
    package var grantedAccess: AccessMask
    /// What decided that.
    package var security: SecurityDescriptor
    /// Not written through a new handle, whatever else allows it. [MS-FSA] 2.1.5.1.2.
    package var isReadOnly = false

    package init(
        handle: any FileHandle, action: CreateAction, facts: FileFacts, grantedAccess: AccessMask,
        security: SecurityDescriptor
    ) {
        self.handle = handle
        self.action = action
        self.facts = facts
        self.grantedAccess = grantedAccess
        self.security = security
    }
}

package protocol FileSystem: FileSystemInformation, POSIXFileSystem {
    /// The file system's identity, the same on every node that mounts it.
    var volumeID: UInt64 { get }
    /// Opens or creates; destroys nothing. A handle that is dropped has changed nothing but what it created.
    func openFile(_ request: FileOpenRequest) throws(SMBError) -> OpenedFile
    /// The second half of an overwriting open, after the share modes were checked. The file's new facts.
    func overwriteFile(_ handle: any FileHandle, _ request: FileOpenRequest) throws(SMBError) -> FileFacts
    /// The same file again, by its identity, wherever it is named now: at `path`, at `formerPath` (empty: none), where its last
    /// rename was to lead, or nowhere that is known.
    func reopenFile(
        _ key: FileKey, path: String, formerPath: String, access: AccessMask
    ) throws(SMBError) -> any FileHandle
    /// A file that has no name and goes with its handle.
    func makeUnnamedFile() throws(SMBError) -> any FileHandle
    /// Whether the open file may be deleted: not read-only, not a directory with entries, not the root.
    func checkDeletable(_ handle: any FileHandle, ignoresReadOnly: Bool) throws(SMBError)
    /// The security descriptor of a directory by its path.
    func directorySecurity(_ path: String, isPOSIX: Bool) throws(SMBError) -> SecurityDescriptor
    /// Takes the open file's name (or stream) away.
    func deleteFile(_ handle: any FileHandle) throws(SMBError)
    /// The share's previous versions, the newest first. Paths into them: ``SnapshotPath``.
    func snapshotTokens() throws(SMBError) -> [SnapshotToken]
}

extension FileSystem {
    package func checkDeletable(_ handle: any FileHandle) throws(SMBError) {
        try self.checkDeletable(handle, ignoresReadOnly: false)
    }
}

package protocol FileHandle: FileHandleInformation, POSIXFileHandle, AppleFileHandle {
    var fileKey: FileKey { get }
    func facts() throws(SMBError) -> FileFacts
    /// The security descriptor in force.
    func effectiveSecurity() throws(SMBError) -> SecurityDescriptor
    /// The descriptor of the directory in which the file is now; nil at the share's root.
    func parentSecurity() throws(SMBError) -> SecurityDescriptor?
}
