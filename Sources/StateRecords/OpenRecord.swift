/// A byte-range lock of an open. [MS-SMB2] 2.2.26.1.
package struct LockRecord: Hashable, BinaryRecord {
    /// Bytes from the start of the file.
    package var offset: UInt64
    /// Bytes; zero-length locks exist.
    package var length: UInt64
    package var isExclusive: Bool

    package init(offset: UInt64, length: UInt64, isExclusive: Bool) {
        self.offset = offset
        self.length = length
        self.isExclusive = isExclusive
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.offset)
        writer.write(self.length)
        writer.write(self.isExclusive)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.offset = try reader.read()
        self.length = try reader.read()
        self.isExclusive = try reader.read()
    }
}

/// The lease of an open. [MS-SMB2] 2.2.13.2.8, 2.2.13.2.10.
package struct LeaseRecord: Equatable, BinaryRecord {
    package var key: GUID16
    package var parentKey: GUID16
    /// READ 1, HANDLE 2, WRITE 4.
    package var state: UInt32
    package var flags: UInt32
    package var epoch: UInt16
    /// 1 or 2.
    package var version: UInt8

    package init(key: GUID16, parentKey: GUID16, state: UInt32, flags: UInt32, epoch: UInt16, version: UInt8) {
        self.key = key
        self.parentKey = parentKey
        self.state = state
        self.flags = flags
        self.epoch = epoch
        self.version = version
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.key)
        writer.write(self.parentKey)
        writer.write(self.state)
        writer.write(self.flags)
        writer.write(self.epoch)
        writer.write(self.version)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.key = try reader.read()
        self.parentKey = try reader.read()
        self.state = try reader.read()
        self.flags = try reader.read()
        self.epoch = try reader.read()
        self.version = try reader.read()
    }
}

/// Everything that a node which never saw this open needs to give it back to its client: durable and persistent
/// handles, [MS-SMB2] 3.3.1.10 (Per Open), 3.3.5.9.12 (reconnect). One record an open; a change replaces it whole.
package struct OpenRecord: Equatable, BinaryRecord {
    /// FileId.Persistent: never used twice in the life of the cluster.
    package var persistentID: UInt64
    package var createGUID: GUID16
    package var clientGUID: GUID16
    /// The owner's SID in its string form; a reconnect by another is refused.
    package var ownerSID: String
    package var userName: String
    package var share: String
    /// UTF-8, relative to the share's root, `/` between components, empty for the root.
    package var path: String
    /// A named stream, or empty.
    package var stream: String
    package var file: FileIdentity
    package var grantedAccess: UInt32
    package var shareAccess: UInt32
    package var createOptions: UInt32
    package var createDisposition: UInt32
    package var createAction: UInt32
    package var fileAttributes: UInt32
    /// How long a disconnected open is kept.
    package var timeoutMilliseconds: UInt32
    /// True for persistent, false for durable v2.
    package var isPersistent: Bool
    package var oplockLevel: UInt8
    package var lease: LeaseRecord?
    package var appInstanceID: GUID16
    package var appInstanceVersionHigh: UInt64
    package var appInstanceVersionLow: UInt64
    package var deleteOnClose: Bool
    /// The replay of the CREATE was consumed by a first use of the handle (3.3.5.9.10).
    package var replayConsumed: Bool
    package var channelSequence: UInt16
    package var locks: [LockRecord]
    /// Open.LockSequenceArray, 3.3.1.10: 64 bytes, the sequence number or 0xFF where a bucket is not valid.
    package var lockSequences: [UInt8]
    /// Anything that a later version of the server adds; opaque to the cluster.
    package var extra: [UInt8]
    /// What `path` was before the last rename, or empty. The record may be committed before the rename is on the disk.
    package var formerPath: String

    package init(
        persistentID: UInt64, createGUID: GUID16, clientGUID: GUID16, ownerSID: String, userName: String,
        share: String, path: String, stream: String = "", file: FileIdentity, grantedAccess: UInt32,
        shareAccess: UInt32, createOptions: UInt32, createDisposition: UInt32, createAction: UInt32,
        fileAttributes: UInt32, timeoutMilliseconds: UInt32, isPersistent: Bool, oplockLevel: UInt8 = 0,
        lease: LeaseRecord? = nil, appInstanceID: GUID16 = .zero, appInstanceVersionHigh: UInt64 = 0,
        appInstanceVersionLow: UInt64 = 0, deleteOnClose: Bool = false, replayConsumed: Bool = false,
        channelSequence: UInt16 = 0, locks: [LockRecord] = [], lockSequences: [UInt8] = [], extra: [UInt8] = [],
        formerPath: String = ""
    ) {
        self.persistentID = persistentID
        self.createGUID = createGUID
        self.clientGUID = clientGUID
        self.ownerSID = ownerSID
        self.userName = userName
        self.share = share
        self.path = path
        self.stream = stream
        self.file = file
        self.grantedAccess = grantedAccess
        self.shareAccess = shareAccess
        self.createOptions = createOptions
        self.createDisposition = createDisposition
        self.createAction = createAction
        self.fileAttributes = fileAttributes
        self.timeoutMilliseconds = timeoutMilliseconds
        self.isPersistent = isPersistent
        self.oplockLevel = oplockLevel
        self.lease = lease
        self.appInstanceID = appInstanceID
        self.appInstanceVersionHigh = appInstanceVersionHigh
        self.appInstanceVersionLow = appInstanceVersionLow
        self.deleteOnClose = deleteOnClose
        self.replayConsumed = replayConsumed
        self.channelSequence = channelSequence
        self.locks = locks
        self.lockSequences = lockSequences
        self.extra = extra
        self.formerPath = formerPath
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: self.formerPath.isEmpty ? 1 : 2) { writer in
            writer.write(self.persistentID)
            writer.write(self.createGUID)
            writer.write(self.clientGUID)
            writer.write(self.ownerSID)
            writer.write(self.userName)
            writer.write(self.share)
            writer.write(self.path)
            writer.write(self.stream)
            writer.write(self.file)
            writer.write(self.grantedAccess)
            writer.write(self.shareAccess)
            writer.write(self.createOptions)
            writer.write(self.createDisposition)
            writer.write(self.createAction)
            writer.write(self.fileAttributes)
            writer.write(self.timeoutMilliseconds)
            writer.write(self.isPersistent)
            writer.write(self.oplockLevel)
            writer.write(self.lease)
            writer.write(self.appInstanceID)
            writer.write(self.appInstanceVersionHigh)
            writer.write(self.appInstanceVersionLow)
            writer.write(self.deleteOnClose)
            writer.write(self.replayConsumed)
            writer.write(self.channelSequence)
            writer.write(self.locks)
            writer.write(self.lockSequences)
            writer.write(self.extra)
            if !self.formerPath.isEmpty { writer.write(self.formerPath) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            OpenRecord(
                persistentID: try reader.read(), createGUID: try reader.read(), clientGUID: try reader.read(),
                ownerSID: try reader.read(), userName: try reader.read(), share: try reader.read(),
                path: try reader.read(), stream: try reader.read(), file: try reader.read(),
                grantedAccess: try reader.read(), shareAccess: try reader.read(), createOptions: try reader.read(),
                createDisposition: try reader.read(), createAction: try reader.read(),
                fileAttributes: try reader.read(), timeoutMilliseconds: try reader.read(),
                isPersistent: try reader.read(), oplockLevel: try reader.read(), lease: try reader.readOptional(),
                appInstanceID: try reader.read(), appInstanceVersionHigh: try reader.read(),
                appInstanceVersionLow: try reader.read(), deleteOnClose: try reader.read(),
                replayConsumed: try reader.read(), channelSequence: try reader.read(),
                locks: try reader.readArray(), lockSequences: try reader.read(), extra: try reader.read(),
                formerPath: version >= 2 ? try reader.read() : "")
        }
    }
}
