import CLinux
import Glibc
import SMB2Wire

extension OpenFile {
    package func information() throws(FileError) -> FileInformation {
        try self.restoreStickyTimes()
        let status = try FileStatus(self.handle)
        let dos = self.volume.attributeCache.attributes(of: self.handle, status)
        var information = self.volume.stickyTimes.shown(FileInformation(status, dos))
        if !self.volume.options.hiddenFiles.isEmpty, let path = try? self.currentPath() {
            information = self.volume.hiding(information, named: path.name)
        }
        if self.isStream { information.adopt(streamSize: try self.streamByteCount()) }
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

    /// FileFsAttributeInformation, [MS-FSCC] 2.5.1: CASE_SENSITIVE_SEARCH, which NTFS claims, too, CASE_PRESERVED_NAMES, UNICODE_ON_DISK, PERSISTENT_ACLS, SUPPORTS_SPARSE_FILES, NAMED_STREAMS, SUPPORTS_EXTENDED_ATTRIBUTES,
    /// SUPPORTS_HARD_LINKS, SUPPORTS_REPARSE_POINTS, READ_ONLY_VOLUME where it is one, SUPPORTS_BLOCK_REFCOUNTING where files can share blocks.
    package var attributeFlags: UInt32 {
        var flags: UInt32 = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | 0x0004_0000 | 0x0080_0000 | 0x0040_0000 | 0x80
        if self.canClone { flags |= 0x0800_0000 }
        if self.options.refusesStreams { flags &= ~0x0004_0000 }
        if self.options.isReadOnly { flags |= 0x0008_0000 }
        return flags
    }
}
