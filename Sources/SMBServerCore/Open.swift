import SMB2Wire
import StateRecords

/// A file's use by a client. [MS-SMB2] 3.3.1.10.
package struct Open: Sendable {
    /// FileId.Persistent; never given out twice, also not by the node that takes over.
    package let persistentID: UInt64
    /// What FileId.Volatile is: the key in the table of opens. It changes when a handle is reclaimed.
    package var key: UInt64 = 0

    /// Nil while the open is disconnected.
    package var session: UInt64?
    package var connection: Connection.ID?
    package var treeID: UInt32
    package var share: Share
    package var owner: User

    package var object: OpenObject
    /// As the client named it; kept true by renames.
    package var path: String
    /// Before the last rename, or empty: where the file still is when a node dies before that rename is on the disk.
    package var formerPath = ""
    /// The entry in the table of files; 0 for a pipe.
    package var file: UInt64 = 0

    package var grantedAccess: AccessMask
    package var shareAccess: ShareAccess
    package var createOptions: CreateOptions
    package var createDisposition: CreateDisposition
    package var createAction: CreateAction = .opened
    package var fileAttributes: FileAttributes
    package var isDirectory = false
    /// POSIX.swift.
    package var isPOSIX = false
    /// FILE_DELETE_ON_CLOSE: the file is marked when this open is closed.
    package var deleteOnClose = false
    /// FILE_DISPOSITION_POSIX_SEMANTICS: the name goes when this open is closed, whoever else has the file open.
    package var deletesNameOnClose = false

    /// The lease that it is one of the opens of; its state is with the file. An oplock's is, too.
    package var lease: LeaseID?
    /// The lease on its directory that its client says to have: what is done through this open does not break it.
    package var parentLease: LeaseID?
    /// Something was written: its directory shows that when it is closed.
    package var hasWritten = false
    package var isDurable = false
    package var isPersistent = false
    package var timeoutMilliseconds: UInt32 = 0
    /// Resiliency.swift: how long it is kept when its connection goes, whatever is cached. Nil: it is not resilient.
    package var resiliencyMilliseconds: UInt32?
    package var createGUID = GUID.zero
    package var clientGUID = GUID.zero
    /// A repeated CREATE is answered with this open until its handle is used. 3.3.5.9.10.
    package var isReplayEligible = false
    package var appInstanceID = GUID.zero
    package var appInstanceVersionHigh: UInt64 = 0
    package var appInstanceVersionLow: UInt64 = 0
    /// When a disconnected open is given up, in the shell's milliseconds.
    package var expiresAt: UInt64?

    package var lockSequences = LockSequences()
    package var channelSequence: UInt16 = 0
    /// What is still to be done of those that came with this sequence, and with earlier ones.
    var outstanding = OutstandingRequests()

    /// FilePositionInformation: kept for those who ask.
    package var currentByteOffset: UInt64 = 0
    /// FileModeInformation, as SET_INFO left it.
    package var mode: UInt32 = 0
    /// QUERY_DIRECTORY's place in a directory; nil before the first one.
    package var enumeration: (any DirectoryEnumeration)?
    /// CHANGE_NOTIFY on this directory; nil before the first one.
    package var notification: ChangeNotification?
    /// It was given back to its client, or a channel of its session is gone: what happened in the directory meanwhile, or was told
    /// on a connection that broke, nobody knows.
    package var mayHaveMissedChanges = false

    package init(
        persistentID: UInt64, session: UInt64?, connection: Connection.ID?, treeID: UInt32, share: Share,
        owner: User, object: OpenObject, path: String, grantedAccess: AccessMask, shareAccess: ShareAccess,
        createOptions: CreateOptions, createDisposition: CreateDisposition, fileAttributes: FileAttributes
    ) {
        self.persistentID = persistentID
        self.session = session
        self.connection = connection
        self.treeID = treeID
        self.share = share
        self.owner = owner
        self.object = object
        self.path = path
        self.grantedAccess = grantedAccess
        self.shareAccess = shareAccess
        self.createOptions = createOptions
        self.createDisposition = createDisposition
        self.fileAttributes = fileAttributes
    }

    package var fileID: FileID { FileID(persistent: self.persistentID, volatile: self.key) }

    /// The handle of a file or directory; nil for a pipe.
    package var handle: (any FileHandle)? {
        if case .file(let handle) = self.object { return handle }
        return nil
    }

    package var isWriteThrough: Bool {
        self.share.isContinuouslyAvailable || self.createOptions.contains(.writeThrough)
    }

    /// Whether it is to be kept when its connection goes.
    package var survivesDisconnect: Bool { self.isDurable || self.isPersistent || self.isResilient }

    package var isResilient: Bool { self.resiliencyMilliseconds != nil }
}

/// What an open is a use of.
package enum OpenObject: Sendable {
    case file(any FileHandle)
    case pipe(NamedPipe)
}

/// What CHANGE_NOTIFY keeps for one open directory. [MS-FSA] 2.1.5.10.
package struct ChangeNotification: Sendable {
    /// FILE_NOTIFY_CHANGE_*, as the first request set them.
    package var filter: UInt32
    package var isRecursive: Bool
    /// Asynchronous requests that wait, the oldest first.
    package var waiting: [UInt64] = []
    /// Seen while nobody waited.
    package var events: [FileNotifyInformation] = []
    /// More happened than was kept: the client must read the directory anew.
    package var hasOverflown = false
    /// The shell's watch; it ends with the open.
    package var watch: (any DirectoryWatch)?

    package init(filter: UInt32, isRecursive: Bool) {
        self.filter = filter
        self.isRecursive = isRecursive
    }
}
