import FileStore
import SMB2Wire
import SMBServerCore
import Synchronization

// What the information commands ask of an open file, said by FileStore.

extension OpenFile {
    package func setBasic(_ information: SMB2Wire.BasicInformation) throws(SMBError) {
        var basic = FileStore.BasicInformation()
        basic.creationTime = information.creationTime
        basic.lastAccessTime = information.lastAccessTime
        basic.lastWriteTime = information.lastWriteTime
        basic.changeTime = information.changeTime
        basic.attributes = information.attributes
        try files { () throws(FileError) in try self.set(basic) }
    }

    package func changeEndOfFile(_ size: UInt64) throws(SMBError) {
        try files { () throws(FileError) in try self.setEndOfFile(size) }
    }

    package func changeAllocation(_ size: UInt64) throws(SMBError) {
        try files { () throws(FileError) in try self.setAllocation(size) }
    }

    package func listExtendedAttributes(
        _ names: [[UInt8]]?, limit: Int
    ) throws(SMBError) -> [SMB2Wire.ExtendedAttribute] {
        return try files { () throws(FileError) in try self.extendedAttributes(named: names, limit: limit) }.map {
            SMB2Wire.ExtendedAttribute(flags: $0.flags, name: $0.name, value: $0.value)
        }
    }

    package func extendedAttributeSize() throws(SMBError) -> UInt32 {
        try files { () throws(FileError) -> UInt32 in try self.extendedAttributeByteCount() }
    }

    package func changeExtendedAttributes(_ attributes: [SMB2Wire.ExtendedAttribute]) throws(SMBError) {
        let kept = attributes.map { FileStore.ExtendedAttribute(name: $0.name, value: $0.value, flags: $0.flags) }
        try files { () throws(FileError) in try self.setExtendedAttributes(kept) }
    }

    package func normalizedName() throws(SMBError) -> String {
        try files { () throws(FileError) in try self.currentPath().shownString }
    }

    package var isAtRecordedPath: Bool { !self.isElsewhere }
    package var wasFoundByName: Bool { !self.isNameless }

    package func listStreams() throws(SMBError) -> [SMB2Wire.StreamInformation] {
        return try files { () throws(FileError) in try self.streams() }.map {
            SMB2Wire.StreamInformation(name: $0.name, size: $0.size, allocationSize: $0.allocationSize)
        }
    }

    package func securityDescriptor(_ parts: SecurityInformation) throws(SMBError) -> [UInt8] {
        try files { () throws(FileError) in try self.securityDescriptor(SecurityParts(rawValue: parts.rawValue)) }
    }

    package func setSecurityDescriptor(_ bytes: [UInt8], _ parts: SecurityInformation) throws(SMBError) {
        try files { () throws(FileError) in
            try self.setSecurityDescriptor(bytes, parts: SecurityParts(rawValue: parts.rawValue))
        }
    }

    package func enumerate(
        visible: (@Sendable (SecurityDescriptor) -> Bool)?
    ) throws(SMBError) -> any DirectoryEnumeration {
        try files { () throws(FileError) in Enumeration(try DirectoryCursor(self, visible: visible)) }
    }

    package func markSparse(_ isSparse: Bool) throws(SMBError) {
        try files { () throws(FileError) in try self.setSparse(isSparse) }
    }

    package func zeroRange(_ range: Range<UInt64>) throws(SMBError) {
        try files { () throws(FileError) in try self.zero(range) }
    }

    package func queryAllocatedRanges(
        in range: Range<UInt64>, limit: Int
    ) throws(SMBError) -> (ranges: [FileRange], isComplete: Bool) {
        let (ranges, isComplete) = try files { () throws(FileError) in try self.allocatedRanges(in: range, limit: limit)
        }
        return (ranges.map { FileRange(offset: $0.lowerBound, length: $0.upperBound - $0.lowerBound) }, isComplete)
    }

    package func readReparseData() throws(SMBError) -> ReparseData {
        try files { () throws(FileError) in try self.reparseData() }
    }

    package func writeReparseData(_ data: ReparseData) throws(SMBError) {
        try files { () throws(FileError) in try self.setReparseData(data) }
    }

    package func deleteReparseData(tag: UInt32) throws(SMBError) {
        try files { () throws(FileError) in try self.removeReparseData(tag: tag) }
    }

    package func trimRange(_ range: Range<UInt64>) throws(SMBError) {
        try files { () throws(FileError) in try self.trim(range) }
    }
}

/// A cursor of FileStore's in the core's terms, with the entry that found no room in the last answer.
private final class Enumeration: DirectoryEnumeration {
    private let cursor: DirectoryCursor
    private let kept = Mutex<DirectoryItem?>(nil)

    init(_ cursor: DirectoryCursor) { self.cursor = cursor }

    func restart(pattern: [UInt16]?) throws(SMBError) {
        self.kept.withLock { $0 = nil }
        try files { () throws(FileError) in
            if let pattern { try self.cursor.restart(pattern: pattern) } else { try self.cursor.restart() }
        }
    }

    func next() throws(SMBError) -> DirectoryItem? {
        if let item = self.kept.withLock({ $0.take() }) { return item }
        guard let entry = try files({ () throws(FileError) in try self.cursor.next() }) else { return nil }
        var item = DirectoryItem(name: entry.name, facts: FileFacts(entry.information))
        item.apple = entry.apple.map {
            AppleFacts(
                resourceForkSize: $0.resourceForkSize, finderInfo: $0.finderInfo,
                isWritable: entry.information.isDirectory || !entry.information.isReadOnly(toPOSIX: false))
        }
        return item
    }

    func showAppleFacts() { self.cursor.showAppleAttributes() }

    func unread(_ item: DirectoryItem) { self.kept.withLock { $0 = item } }
}
