import SMB2Wire

/// What CREATE asks of the file system, [MS-SMB2] 2.2.13, [MS-FSA] 2.1.5.1.
package struct OpenRequest: Sendable {
    package var path: NTPath
    /// Specific rights only. Where an authority decides, what it grants takes their place.
    package var access: AccessMask
    package var disposition: CreateDisposition
    package var options: CreateOptions
    package var attributes: FileAttributes
    package var allocationSize: UInt64 = 0
    /// Self-relative, for a new file: SMB2_CREATE_SD_BUFFER. Nil: what the authority says; without one none is stored.
    package var securityDescriptor: [UInt8]?
    /// Nil: all that is asked for is granted.
    package var authority: (any OpenAuthority)?
    /// For a new or overwritten file: SMB2_CREATE_EA_BUFFER.
    package var extendedAttributes: [ExtendedAttribute] = []
    /// Left on what this request creates, and known again when it comes a second time.
    package var creationMark: CreationMark?
    /// The mark where the request comes a second time, and may have created before what it finds now.
    var repeatedCreation: CreationMark? {
        guard let mark = self.creationMark, mark.isReplay else { return nil }
        return self.disposition == .open || self.disposition == .overwrite ? nil : mark
    }
    /// A POSIX open: names are what they are spelled, and what is created gets this mode.
    package var posix: POSIXOpen?

    package init(
        path: NTPath, access: AccessMask, disposition: CreateDisposition, options: CreateOptions = [],
        attributes: FileAttributes = []
    ) {
        self.path = path
        self.access = access
        self.disposition = disposition
        self.options = options
        self.attributes = attributes
    }
}

package struct OpenResult: Sendable {
    package var file: OpenFile
    package var action: CreateAction
    package var information: FileInformation
    /// What the authority decided on: the file's descriptor in force.
    package var security: SecurityDescriptor?

    /// The old contents are still there: `Volume.overwrite` is to follow the sharing check.
    package var needsOverwrite: Bool { self.action == .overwritten || self.action == .superseded }
}

/// What FileBasicInformation, FileStandardInformation, FileInternalInformation, FileNetworkOpenInformation and the
/// directory levels are made of, [MS-FSCC] 2.4.
package struct FileInformation: Equatable, Sendable {
    /// Normalized: NORMAL stands for "none".
    package var attributes: FileAttributes
    package var creationTime: FileTime
    package var lastAccessTime: FileTime
    package var lastWriteTime: FileTime
    package var changeTime: FileTime
    package var endOfFile: UInt64
    package var allocationSize: UInt64
    package var linkCount: UInt32
    /// The inode's number: FileInternalInformation, FileId, QFid.
    package var fileID: UInt64
    package var isDirectory: Bool
    /// 0, or IO_REPARSE_TAG_*, [MS-FSCC] 2.1.2.1.
    package var reparseTag: UInt32
    /// POSIX mode bits with the type, owner and group, for the POSIX extensions and the default security descriptor.
    package var mode: UInt32
    package var uid: UInt32
    package var gid: UInt32
}

/// FileBasicInformation being set, [MS-FSCC] 2.4.7. The times' special values are FileTime's.
package struct BasicInformation: Equatable, Sendable {
    package var creationTime = FileTime.unchanged
    package var lastAccessTime = FileTime.unchanged
    package var lastWriteTime = FileTime.unchanged
    package var changeTime = FileTime.unchanged
    /// Empty: leave them.
    package var attributes: FileAttributes = []

    package init() {}
}

/// One directory entry: the name as the client shall see it, UTF-16.
package struct DirectoryEntry: Sendable {
    package var name: [UInt16]
    package var information: FileInformation
    /// Once the cursor was asked for them.
    package var apple: AppleAttributes?

    package var nameString: String { String(decoding: self.name, as: UTF16.self) }
}

/// FileStreamInformation's items, [MS-FSCC] 2.4.49. The name has its type: `::$DATA`, `:stream:$DATA`.
package struct StreamInformation: Equatable, Sendable {
    package var name: String
    package var size: UInt64
    package var allocationSize: UInt64
}

/// [MS-FSCC] 2.4.16 FileFullEaInformation, as far as it means anything here.
package struct ExtendedAttribute: Equatable, Sendable {
    /// ASCII, compared without case, at most 254 bytes.
    package var name: [UInt8]
    /// Empty in a request: remove it.
    package var value: [UInt8]
    package var flags: UInt8 = 0

    package init(name: [UInt8], value: [UInt8], flags: UInt8 = 0) {
        self.name = name
        self.value = value
        self.flags = flags
    }
}

/// FileFsFullSizeInformation and FileFsSectorSizeInformation, [MS-FSCC] 2.5.4, 2.5.7.
package struct VolumeSpace: Equatable, Sendable {
    package var totalUnits: UInt64
    package var availableUnits: UInt64
    /// Including what is reserved for root.
    package var freeUnits: UInt64
    package var sectorsPerUnit: UInt32
    package var bytesPerSector: UInt32
    /// Longest name, in UTF-16 units.
    package var maximumNameLength: UInt32
    package var totalInodes: UInt64
    package var freeInodes: UInt64
}

/// FILE_NOTIFY_CHANGE_*, [MS-SMB2] 2.2.35.
package struct CompletionFilter: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let fileName = CompletionFilter(rawValue: 0x001)
    package static let directoryName = CompletionFilter(rawValue: 0x002)
    package static let attributes = CompletionFilter(rawValue: 0x004)
    package static let size = CompletionFilter(rawValue: 0x008)
    package static let lastWrite = CompletionFilter(rawValue: 0x010)
    package static let lastAccess = CompletionFilter(rawValue: 0x020)
    package static let creation = CompletionFilter(rawValue: 0x040)
    package static let extendedAttributes = CompletionFilter(rawValue: 0x080)
    package static let security = CompletionFilter(rawValue: 0x100)
    package static let streamName = CompletionFilter(rawValue: 0x200)
    package static let streamSize = CompletionFilter(rawValue: 0x400)
    package static let streamWrite = CompletionFilter(rawValue: 0x800)
}

package struct WatchID: Hashable, Sendable {
    package var rawValue: UInt32
}

package enum WatchEvent: Equatable, Sendable {
    /// FILE_ACTION_*, [MS-FSCC] 2.7.1.
    package enum Action: UInt32, Sendable {
        case added = 1
        case removed = 2
        case modified = 3
        case renamedOldName = 4
        case renamedNewName = 5
    }

    /// `name` is relative to the watched directory, UTF-16, components joined by backslashes.
    case changed(WatchID, Action, name: [UInt16])
    /// Events were lost: STATUS_NOTIFY_ENUM_DIR.
    case overflowed(WatchID)
    /// The watched directory is gone: STATUS_NOTIFY_CLEANUP, and the watch with it.
    case ended(WatchID)
}

/// Limits of the file store; what happens at each.
package enum FileStoreLimits {
    /// [MS-FSCC] 2.1.5: a longer component is STATUS_OBJECT_NAME_INVALID. In UTF-16 units and, on disk, in bytes.
    package static let nameUnits = 255
    package static let nameBytes = 255
    /// A longer path (UTF-8, with its terminator) is STATUS_NAME_TOO_LONG: Linux's PATH_MAX.
    package static let pathBytes = 4096
    /// What a named stream in an extended attribute holds; a larger one is a file of its own. (ext4's attributes hold
    /// less: what does not fit there moves out, too.)
    package static let streamBytes = 65535
    /// What is copied of a large stream before it is brought to the disk and a cancellation is looked for.
    package static let streamCopyBytes = 64 << 20
    /// A large stream that is nobody's is swept once it is so old.
    package static let streamSweepSeconds: Int64 = 600
    /// A folder that a crash kept from its name is swept once it is so old.
    package static let folderSweepSeconds: Int64 = 600
    /// A link that a crash kept from its name is swept once its file has not changed for so long.
    package static let linkSweepSeconds: Int64 = 600
    /// Streams of one file of which it is known which request made them. At it the oldest is forgotten: its request,
    /// should it come again, collides.
    package static let markedStreams = 8
    /// An extended attribute; larger is STATUS_EA_TOO_LARGE.
    package static let extendedAttributeBytes = 65535
    /// All names of one file's extended attributes; Linux's XATTR_LIST_MAX.
    package static let extendedAttributeListBytes = 65536
    /// A security descriptor; larger is STATUS_INVALID_SECURITY_DESCR.
    package static let securityDescriptorBytes = 65000
    /// Directories whose name index is kept; the least recently used goes.
    package static let indexedDirectories = 512
    /// Names in all indexes together; as above.
    package static let indexedNames = 4_000_000
    /// Files whose ChangeTime was set and is shown in place of Linux's; past this the oldest shows Linux's again.
    package static let rememberedChangeTimes = 1024
    /// Names that are given back to a file made anew by its short name; the oldest goes.
    package static let tunneledNames = 1024
    /// Files whose attributes are kept in memory (200 bytes each); what was not used for longest goes.
    package static let cachedAttributes = 16384
    /// Entries of a security descriptor that is kept in memory (100 bytes each); one with more is read anew each time.
    package static let keptSecurityEntries = 64
    /// Directories whose security descriptor is kept by their path (`DirectorySecurities`); at it all are read anew.
    package static let directorySecurities = 1024
    /// Directories that an open keeps in mind for `flushName`. At it the oldest is forgotten: whoever renames that often
    /// without a flush is on a share that promises none.
    package static let changedDirectories = 16
    /// Directories under inotify watches; at it a recursive watch reports an overflow and misses what is deeper.
    package static let watchedDirectories = 16384
    /// What of a tree is looked through at once when somebody wants to watch it: directories, and their own sizes in bytes. The rest
    /// is a thread's.
    package static let watchedDirectoriesAtOnce = 32
    package static let watchedBytesAtOnce: UInt64 = 1 << 20
    /// Change events that one drain returns at most; more make an overflow.
    package static let eventsPerDrain = 16384
    /// Ranges that one query of allocated ranges returns; more is STATUS_BUFFER_OVERFLOW's concern, the caller's.
    package static let allocatedRanges = 65536
}
