import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// Times that were set through a handle stay what they were set to while that handle is open: [MS-FSA] 2.1.5.15.2. A write
/// through the descriptor changes them underneath; they are put back when somebody looks and when the handle goes. They are the
/// file's, not the handle's: where two handles set them, the later one's hold.
final class StickyTimes: Sendable {
    struct Times: Sendable {
        var lastAccess: FileTime?
        var lastWrite: FileTime?
        /// Linux keeps its own and lets nobody set it: what is set here is shown instead.
        var change: FileTime?
        /// Handles that set them.
        var holders = 0
    }

    private let files = Mutex<[UInt64: Times]>([:])

    func of(_ inode: UInt64) -> Times? { self.files.withLock { $0[inode] } }

    /// ChangeTimes that were set through handles which are closed now, for as long as the file does not change: until then its
    /// time of change, as Linux keeps it, is the one beside. A server that starts anew shows Linux's.
    private struct Remembered: Sendable {
        var times: [UInt64: (shown: FileTime, kept: FileTime)] = [:]
        /// The oldest first.
        var order: [UInt64] = []
    }

    private let remembered = Mutex(Remembered())

    func remember(_ inode: UInt64, change: FileTime, whileChangedAt kept: FileTime) {
        self.remembered.withLock { remembered in
            if remembered.times.updateValue((change, kept), forKey: inode) == nil { remembered.order.append(inode) }
            guard remembered.order.count > FileStoreLimits.rememberedChangeTimes else { return }
            remembered.times[remembered.order.removeFirst()] = nil
        }
    }

    /// The times as somebody set them, where somebody holds them or nothing changed since.
    func shown(_ information: consuming FileInformation) -> FileInformation {
        let (inode, kept) = (information.fileID, information.changeTime)
        guard let sticky = self.of(inode) else {
            let set = self.remembered.withLock { $0.times[inode] }
            if let set, set.kept == kept { information.changeTime = set.shown }
            return information
        }
        if let time = sticky.lastAccess { information.lastAccessTime = time }
        if let time = sticky.lastWrite { information.lastWriteTime = time }
        if let time = sticky.change { information.changeTime = time }
        return information
    }

    func change(_ inode: UInt64, isNewHolder: Bool, _ body: (inout Times) -> Void) {
        self.files.withLock { files in
            if isNewHolder { files[inode, default: Times()].holders += 1 }
            body(&files[inode, default: Times()])
        }
    }

    func release(_ inode: UInt64) {
        self.files.withLock { files in
            files[inode]?.holders -= 1
            if files[inode]?.holders == 0 { files[inode] = nil }
        }
    }
}

extension OpenFile {
    package func information() throws(FileError) -> FileInformation {
        try self.restoreStickyTimes()
        let status = try FileStatus(self.handle)
        let dos = self.volume.attributeCache.attributes(of: self.handle, status)
        var information = self.volume.stickyTimes.shown(FileInformation(status, dos))
        if self.isStream { information.adopt(streamSize: UInt64(try self.streamContents().count)) }
        return information
    }

    /// FileBasicInformation, [MS-FSCC] 2.4.7, [MS-FSA] 2.1.5.15.2.
    package func set(_ basic: BasicInformation) throws(FileError) {
        try self.volume.requireWritable()
        guard !self.isReparsePoint else { throw FileError(.accessDenied, "set the attributes of a special file") }
        let attributes = basic.attributes
        if self.isDirectory, attributes.contains(.temporary) {
            throw FileError(.invalidParameter, "a temporary directory")
        }
        if !self.isDirectory, attributes.contains(.directory) {
            throw FileError(.invalidParameter, "a file as a directory")
        }
        try self.setKept(attributes, creation: basic.creationTime)
        try self.setTimes(access: basic.lastAccessTime, write: basic.lastWriteTime, change: basic.changeTime)
    }

    private static func isTime(_ time: FileTime) -> Bool {
        time != .unchanged && time != .suppressUpdates && time != .resumeUpdates
    }

    private func setKept(_ attributes: FileAttributes, creation: FileTime) throws(FileError) {
        let number = self.handle.number
        guard !attributes.isEmpty || Self.isTime(creation) else { return }
        var dos = DOSAttributes.read(number)
        let before = dos
        if !attributes.isEmpty {
            var kept = attributes.intersection(FileAttributes.settable.subtracting(.normal))
            if let old = dos.attributes { kept.formUnion(old.intersection([.sparseFile, .reparsePoint])) }
            let shown = FileInformation(try FileStatus(self.handle), dos).attributes
            if shown.intersection(DOSAttributes.kept) != kept { dos.attributes = kept }
        }
        if Self.isTime(creation) { dos.creationTime = creation }
        if dos != before { try dos.write(number) }
    }

    private func setTimes(access: FileTime, write: FileTime, change: FileTime) throws(FileError) {
        let status = try FileStatus(self.handle)
        let omit = clinux_time(seconds: 0, nanoseconds: clinux_utime_omit)
        let newAccess = Self.isTime(access) ? access.clinux : omit
        let newWrite = Self.isTime(write) ? write.clinux : omit
        if Self.isTime(access) || Self.isTime(write) {
            try check(clinux_set_times(self.handle.number, newAccess, newWrite), "set the times")
            if status.isDirectory { self.volume.indexes.forget(inode: status.inode) }
        }
        guard access != .unchanged || write != .unchanged || change != .unchanged else { return }
        let isNewHolder = !self.holdsTimes.exchange(true, ordering: .relaxed)
        self.volume.stickyTimes.change(self.fileID, isNewHolder: isNewHolder) { sticky in
            sticky.lastAccess = Self.sticky(sticky.lastAccess, access, now: status.accessTime)
            sticky.lastWrite = Self.sticky(sticky.lastWrite, write, now: status.writeTime)
            sticky.change = Self.sticky(sticky.change, change, now: status.changeTime)
        }
    }

    private static func sticky(_ old: FileTime?, _ requested: FileTime, now: FileTime) -> FileTime? {
        switch requested {
        case .unchanged: old
        case .suppressUpdates: old ?? now
        case .resumeUpdates: nil
        default: requested
        }
    }

    func restoreStickyTimes() throws(FileError) {
        guard let sticky = self.volume.stickyTimes.of(self.fileID) else { return }
        let status = try FileStatus(self.handle)
        let accessIsRight = sticky.lastAccess == nil || sticky.lastAccess == status.accessTime
        let writeIsRight = sticky.lastWrite == nil || sticky.lastWrite == status.writeTime
        guard !accessIsRight || !writeIsRight else { return }
        let omit = clinux_time(seconds: 0, nanoseconds: clinux_utime_omit)
        try check(
            clinux_set_times(self.handle.number, sticky.lastAccess?.clinux ?? omit, sticky.lastWrite?.clinux ?? omit),
            "put the times back")
    }

    /// FSCTL_SET_SPARSE, [MS-FSCC] 2.3.69. Every file can have holes here; the attribute is what the client sees of it.
    package func setSparse(_ isSparse: Bool) throws(FileError) {
        try self.volume.requireWritable()
        guard !self.isDirectory, !self.isReparsePoint, !self.isStream else {
            throw FileError(.invalidParameter, "make sparse what is no file")
        }
        var dos = DOSAttributes.read(self.handle.number)
        let shown = FileInformation(try FileStatus(self.handle), dos).attributes
        var kept = shown.intersection(DOSAttributes.kept)
        if isSparse { kept.insert(.sparseFile) } else { kept.remove(.sparseFile) }
        guard shown.contains(.sparseFile) != isSparse else { return }
        dos.attributes = kept
        try dos.write(self.handle.number)
    }
}

extension Volume {
    private static let sectorBytes: UInt64 = 512

    /// [MS-FSCC] 2.5.4, 2.5.8.
    package func space() throws(FileError) -> VolumeSpace {
        var raw = clinux_filesystem()
        try check(clinux_statfs(self.root.number, &raw), "statfs of the share")
        let unit = max(raw.fragment_size, Self.sectorBytes)
        return VolumeSpace(
            totalUnits: raw.blocks, availableUnits: raw.blocks_available, freeUnits: raw.blocks_free,
            sectorsPerUnit: UInt32(clamping: unit / Self.sectorBytes), bytesPerSector: UInt32(Self.sectorBytes),
            maximumNameLength: UInt32(min(FileStoreLimits.nameUnits, Int(clamping: raw.name_max))),
            totalInodes: raw.inodes, freeInodes: raw.inodes_free)
    }

    /// FileFsAttributeInformation, [MS-FSCC] 2.5.1: CASE_SENSITIVE_SEARCH where so configured, CASE_PRESERVED_NAMES,
    /// UNICODE_ON_DISK, PERSISTENT_ACLS, SUPPORTS_SPARSE_FILES, NAMED_STREAMS, SUPPORTS_EXTENDED_ATTRIBUTES,
    /// SUPPORTS_HARD_LINKS, SUPPORTS_REPARSE_POINTS, READ_ONLY_VOLUME where it is one, SUPPORTS_BLOCK_REFCOUNTING where files can share blocks.
    package var attributeFlags: UInt32 {
        var flags: UInt32 = 0x02 | 0x04 | 0x08 | 0x40 | 0x0004_0000 | 0x0080_0000 | 0x0040_0000 | 0x80
        if self.canClone { flags |= 0x0800_0000 }
        if self.options.isCaseSensitive { flags |= 0x01 }
        if self.options.isReadOnly { flags |= 0x0008_0000 }
        return flags
    }
}
