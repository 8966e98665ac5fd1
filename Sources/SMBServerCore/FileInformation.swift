import SMB2Wire
import StateRecords

// What the information commands ask of files beyond FileSystem.swift: QUERY_INFO, SET_INFO, QUERY_DIRECTORY,
// CHANGE_NOTIFY and the FSCTLs of files.

/// What FileFs… levels are made of, [MS-FSCC] 2.5.
package struct VolumeFacts: Equatable, Sendable {
    package var label: String
    package var serialNumber: UInt32
    package var creationTime: FileTime
    /// FILE_FS_ATTRIBUTE flags.
    package var attributes: UInt32
    /// "NTFS": clients look at the name before they use streams and security.
    package var fileSystemName: String
    package var objectID: GUID
    package var totalUnits: UInt64
    /// To the caller, and to everybody.
    package var availableUnits: UInt64
    package var freeUnits: UInt64
    package var sectorsPerUnit: UInt32
    package var bytesPerSector: UInt32
    package var maximumNameLength: UInt32
    /// What the POSIX level shows beyond that: inodes.
    package var totalNodes: UInt64 = 0
    package var freeNodes: UInt64 = 0

    /// FILE_SUPPORTS_BLOCK_REFCOUNTING, [MS-FSCC] 2.5.1.
    var canShareBlocks: Bool { self.attributes & 0x0800_0000 != 0 }

    package init(
        label: String, serialNumber: UInt32, creationTime: FileTime, attributes: UInt32, fileSystemName: String,
        objectID: GUID, totalUnits: UInt64, availableUnits: UInt64, freeUnits: UInt64, sectorsPerUnit: UInt32,
        bytesPerSector: UInt32, maximumNameLength: UInt32
    ) {
        self.label = label
        self.serialNumber = serialNumber
        self.creationTime = creationTime
        self.attributes = attributes
        self.fileSystemName = fileSystemName
        self.objectID = objectID
        self.totalUnits = totalUnits
        self.availableUnits = availableUnits
        self.freeUnits = freeUnits
        self.sectorsPerUnit = sectorsPerUnit
        self.bytesPerSector = bytesPerSector
        self.maximumNameLength = maximumNameLength
    }
}

package protocol FileSystemInformation: AnyObject, Sendable {
    func volumeFacts() throws(SMBError) -> VolumeFacts
    /// The file that a path names now; nil where there is none. The path has backslashes between its components.
    func findFile(_ path: String) throws(SMBError) -> FileKey?
    /// Gives the open file another name within the share.
    /// `isMarked`: the file must be found again by its identity and its old path, however the rename ends.
    func renameFile(
        _ handle: any FileHandle, to path: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError)
    /// Gives a stream another name; `handles` are all opens of it. `isMarked` as for a file.
    func renameStream(
        _ handles: [any FileHandle], to name: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError)
    /// Looks whether the open stream may become its file's own data, and what has to be done for it; nothing happens yet.
    func beginMakingUnnamed(_ handle: any FileHandle, replacesExisting: Bool) throws(SMBError) -> any StreamMoving
    /// The stream that a path names, without its type; nil for the unnamed one by its full name. Throws where it names none.
    func streamName(_ path: String) throws(SMBError) -> String?
    func linkFile(_ handle: any FileHandle, to path: String, replacesExisting: Bool) throws(SMBError)
}

package protocol FileHandleInformation: AnyObject, Sendable {
    /// 0 in a time: unchanged; -1 and -2 ([MS-FSCC] 2.4.7): this handle's I/O does not, or does again, change it. Attributes 0:
    /// unchanged.
    func setBasic(_ information: BasicInformation) throws(SMBError)
    func changeEndOfFile(_ size: UInt64) throws(SMBError)
    func changeAllocation(_ size: UInt64) throws(SMBError)
    /// Those of these names (ASCII, whatever its case), in that order and with an empty value where the file has none;
    /// nil: all that it has. No more is read than `limit` bytes can tell: what follows the first entry that does not fit
    /// is left out.
    func listExtendedAttributes(_ names: [[UInt8]]?, limit: Int) throws(SMBError) -> [ExtendedAttribute]
    /// FileEaInformation, [MS-FSCC] 2.4.12.
    func extendedAttributeSize() throws(SMBError) -> UInt32
    func changeExtendedAttributes(_ attributes: [ExtendedAttribute]) throws(SMBError)
    /// The path within the share as it is spelled on disk, backslashes between its components.
    func normalizedName() throws(SMBError) -> String
    /// Taken back after a failover where its record says it is: nothing has to be asked about its name.
    var isAtRecordedPath: Bool { get }
    /// It was there, or where a rename that its record tells of left it. Otherwise it lives on under a name that is another's to delete.
    var wasFoundByName: Bool { get }
    func listStreams() throws(SMBError) -> [StreamInformation]
    /// Self-relative.
    func securityDescriptor(_ parts: SecurityInformation) throws(SMBError) -> [UInt8]
    func setSecurityDescriptor(_ bytes: [UInt8], _ parts: SecurityInformation) throws(SMBError)
    /// - Parameter visible: which entries are shown, by their descriptors; nil: all.
    func enumerate(visible: (@Sendable (SecurityDescriptor) -> Bool)?) throws(SMBError) -> any DirectoryEnumeration
    func markSparse(_ isSparse: Bool) throws(SMBError)
    func zeroRange(_ range: Range<UInt64>) throws(SMBError)
    func queryAllocatedRanges(in range: Range<UInt64>, limit: Int) throws(SMBError) -> (
        ranges: [FileRange], isComplete: Bool
    )
    /// STATUS_NOT_A_REPARSE_POINT where it is none.
    func readReparseData() throws(SMBError) -> ReparseData
    func writeReparseData(_ data: ReparseData) throws(SMBError)
    func deleteReparseData(tag: UInt32) throws(SMBError)
    /// The contents of these bytes are needed no more.
    func trimRange(_ range: Range<UInt64>) throws(SMBError)
}

/// Who sees changes in directories: the shell's watcher.
package protocol DirectoryWatching: AnyObject, Sendable {
    /// Reports changes to `ServerState.directoryChanged(_:_:isOverflow:)` of this key until the watch is dropped.
    func watch(
        _ handle: any FileHandle, key: UInt64, filter: ChangeNotifyRequest.Filter, isRecursive: Bool
    ) throws(SMBError) -> any DirectoryWatch
}

/// A directory under watch, for as long as somebody holds this.
package protocol DirectoryWatch: AnyObject, Sendable {}

/// One entry of a directory.
package struct DirectoryItem: Sendable {
    /// UTF-16 units, as clients are shown it.
    package var name: [UInt16]
    package var facts: FileFacts
    /// Once the enumeration was asked for them.
    package var apple: AppleFacts?

    package init(name: [UInt16], facts: FileFacts) {
        self.name = name
        self.facts = facts
    }
}

/// QUERY_DIRECTORY's position in an open directory.
package protocol DirectoryEnumeration: AnyObject, Sendable {
    /// From the beginning, with a new pattern ([MS-FSA] 2.1.4.4) or the one before.
    func restart(pattern: [UInt16]?) throws(SMBError)
    func next() throws(SMBError) -> DirectoryItem?
    /// From now on the items have what a Mac wants to know.
    func showAppleFacts()
    /// The next call of `next` gives this again.
    func unread(_ item: DirectoryItem)
}
