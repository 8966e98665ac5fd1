import CLinux
import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// What is kept of a file must never be shown of a file that has changed.
@Suite struct AttributeCacheTests {
    /// Longer than the tick of the kernel's clock: from then on the attributes are kept.
    private func rest() { usleep(60_000) }

    /// Without the volume, as another process would.
    private func setBehind(_ scratch: Scratch, _ name: String, _ attributes: FileAttributes) throws {
        let file = try Descriptor(result: clinux_open("\(scratch.path)/\(name)", O_RDWR | O_CLOEXEC), "open")
        try DOSAttributes(attributes: attributes).write(file.number)
    }

    private func status(_ scratch: Scratch, _ name: String) throws -> FileStatus {
        let file = try Descriptor(result: clinux_open("\(scratch.path)/\(name)", O_RDONLY), "open")
        return try FileStatus(file)
    }

    @Test func anUnchangedFilesAttributesAreKept() throws {
        let scratch = try Scratch()
        try scratch.open("f", .create, attributes: .hidden)
        self.rest()
        let file = try scratch.open("f").file
        let facts = scratch.volume.attributeCache.facts(try self.status(scratch, "f"))
        #expect(facts.dos?.attributes == [.hidden, .archive])
        #expect(facts.identity == file.identity)
    }

    @Test func whatChangedAMomentAgoIsNotKept() throws {
        let scratch = try Scratch()
        scratch.write("f")
        for round in 0..<50 {
            let attributes: FileAttributes = round % 2 == 0 ? [.hidden] : [.system]
            try self.setBehind(scratch, "f", attributes)
            #expect(try scratch.open("f").information.attributes == attributes, "round \(round)")
        }
    }

    @Test func aChangeBehindTheServersBackIsSeen() throws {
        let scratch = try Scratch()
        scratch.write("f")
        self.rest()
        #expect(try scratch.open("f").information.attributes == .archive)
        try self.setBehind(scratch, "f", .hidden)
        #expect(try scratch.open("f").information.attributes == .hidden)
        self.rest()
        let file = try scratch.open("f").file
        try self.setBehind(scratch, "f", .system)
        #expect(try file.information().attributes == .system)
    }

    @Test func aNewFileWithAnOldNumberIsAnother() throws {
        let scratch = try Scratch()
        // Whether a number is used again at once is the file system's affair: some of these are.
        for round in 0..<20 {
            try scratch.open("f", .create, attributes: round % 2 == 0 ? .hidden : .system)
            self.rest()
            let first = try scratch.open("f").file
            _ = try first.information()
            #expect(unlink("\(scratch.path)/f") == 0)
            let second = try scratch.open("f", .create).file
            #expect(try second.information().attributes == .archive)
            #expect(first.identity != second.identity)
            #expect(try scratch.open("f").information.attributes == .archive)
            #expect(unlink("\(scratch.path)/f") == 0)
        }
    }

    @Test func theSizeOfExtendedAttributesFollowsThem() throws {
        let scratch = try Scratch()
        let file = try scratch.open("f", .create).file
        self.rest()
        #expect(try file.extendedAttributeByteCount() == 0)
        #expect(try file.extendedAttributeByteCount() == 0)
        try file.setExtendedAttributes([ExtendedAttribute(name: Array("a".utf8), value: [1, 2, 3])])
        // The list's length (4), an entry's fixed part (8), the name with its end, the value. [MS-FSCC] 2.4.16.
        #expect(try file.extendedAttributeByteCount() == 4 + 8 + 2 + 3)
        self.rest()
        #expect(try file.extendedAttributeByteCount() == 4 + 8 + 2 + 3)
        try file.setExtendedAttributes([ExtendedAttribute(name: Array("a".utf8), value: [])])
        #expect(try file.extendedAttributeByteCount() == 0)
    }

    /// Of thousands of files each could have a list of 64 KiB.
    @Test(arguments: [(0, true), (1, false)])
    func aLongSecurityDescriptorIsReadAnew(more: Int, isKept: Bool) throws {
        let scratch = try Scratch()
        scratch.write("f")
        self.rest()
        let status = try self.status(scratch, "f")
        let entry = ACE(kind: .accessAllowed, mask: .fileAll, sid: .everyone)
        let list = ACL(entries: [ACE](repeating: entry, count: FileStoreLimits.keptSecurityEntries + more - 1))
        let long = SecurityDescriptor(owner: nil, group: nil, sacl: ACL(entries: [entry]), dacl: list)
        for cached in [false, isKept] {
            var isRead = false
            let security = try scratch.volume.attributeCache.security(status) { () throws(FileError) in
                isRead = true
                return .descriptor(long)
            }
            guard case .descriptor(long) = security else {
                Issue.record("another descriptor")
                continue
            }
            #expect(isRead != cached)
        }
        var reads = 0
        for _ in 0..<2 {
            let security = try scratch.volume.directorySecurities.find(Array("d".utf8)) { () throws(FileError) in
                reads += 1
                return long
            }
            #expect(security == long)
        }
        // What is kept is kept for a second, which may be over.
        #expect(reads == 2 || isKept)
    }

    @Test func itDoesNotGrowWithoutEnd() throws {
        let scratch = try Scratch()
        scratch.write("f")
        self.rest()
        var status = try self.status(scratch, "f")
        let first = status.inode
        for inode in 0..<UInt64(3 * FileStoreLimits.cachedAttributes) {
            status.raw.inode = first + inode
            _ = scratch.volume.attributeCache.attributes(status) { DOSAttributes() }
        }
        #expect(scratch.volume.attributeCache.count <= FileStoreLimits.cachedAttributes)
        status.raw.inode = first
        #expect(scratch.volume.attributeCache.facts(status).dos == nil, "what was not used for longest is gone")
    }
}
