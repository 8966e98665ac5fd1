/// SMB2 CHANGE_NOTIFY Request, [MS-SMB2] 2.2.35.
package struct ChangeNotifyRequest: Equatable, Sendable {
    package static let structureSize: UInt16 = 32
    package static let watchTreeFlag: UInt16 = 0x0001

    package struct Filter: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let fileName = Filter(rawValue: 0x001)
        package static let directoryName = Filter(rawValue: 0x002)
        package static let attributes = Filter(rawValue: 0x004)
        package static let size = Filter(rawValue: 0x008)
        package static let lastWrite = Filter(rawValue: 0x010)
        package static let lastAccess = Filter(rawValue: 0x020)
        package static let creation = Filter(rawValue: 0x040)
        package static let ea = Filter(rawValue: 0x080)
        package static let security = Filter(rawValue: 0x100)
        package static let streamName = Filter(rawValue: 0x200)
        package static let streamSize = Filter(rawValue: 0x400)
        package static let streamWrite = Filter(rawValue: 0x800)
        package static let all = Filter(rawValue: 0xFFF)
    }

    package var flags: UInt16
    package var outputBufferLength: UInt32
    package var fileID: FileID
    package var filter: Filter

    package var watchesTree: Bool { self.flags & Self.watchTreeFlag != 0 }

    package init(fileID: FileID, filter: Filter, watchesTree: Bool, outputBufferLength: UInt32) {
        self.flags = watchesTree ? Self.watchTreeFlag : 0
        self.outputBufferLength = outputBufferLength
        self.fileID = fileID
        self.filter = filter
    }

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 32, "CHANGE_NOTIFY")
        let body = SMB2Header.byteCount
        self.flags = message.load(UInt16.self, at: body + 2)
        self.outputBufferLength = message.load(UInt32.self, at: body + 4)
        self.fileID = FileID(loading: message, at: body + 8)
        self.filter = Filter(rawValue: message.load(UInt32.self, at: body + 24))
    }

    package func encode(into writer: inout WireWriter) {
        let body = writer.claim(32)
        writer.store(Self.structureSize, at: body)
        writer.store(self.flags, at: body + 2)
        writer.store(self.outputBufferLength, at: body + 4)
        writer.store(self.fileID, at: body + 8)
        writer.store(self.filter.rawValue, at: body + 24)
    }
}

/// FILE_NOTIFY_INFORMATION, [MS-FSCC] 2.7.1.
package struct FileNotifyInformation: Equatable, Sendable {
    package static let fixedByteCount = 12
    /// Entries that a client reads from one response.
    package static let maximumEntries = 65_536

    package struct Action: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let added = Action(rawValue: 1)
        package static let removed = Action(rawValue: 2)
        package static let modified = Action(rawValue: 3)
        package static let renamedOldName = Action(rawValue: 4)
        package static let renamedNewName = Action(rawValue: 5)
        package static let addedStream = Action(rawValue: 6)
        package static let removedStream = Action(rawValue: 7)
        package static let modifiedStream = Action(rawValue: 8)
    }

    package var action: Action
    /// Relative to the watched directory, with backslashes.
    package var name: String

    package init(action: Action, name: String) {
        self.action = action
        self.name = name
    }

    /// Appends `entries`, at most `limit` bytes of them; false, and nothing appended, where they do not fit
    /// (the answer is then STATUS_NOTIFY_ENUM_DIR, [MS-SMB2] 3.3.4.4).
    package static func encode(
        _ entries: [FileNotifyInformation], into writer: inout WireWriter, limit: Int
    ) -> Bool {
        let start = writer.count
        var previous: Int?
        for entry in entries {
            writer.align(to: 4, from: start)
            let at = writer.claim(Self.fixedByteCount)
            if let previous { writer.store(UInt32(at - previous), at: previous) }
            previous = at
            writer.store(entry.action.rawValue, at: at + 4)
            writer.store(UInt32(writer.append(utf16: entry.name)), at: at + 8)
            if writer.count - start > limit {
                writer.truncate(to: start)
                return false
            }
        }
        return true
    }

    package static func parseList(_ data: RawSpan) throws(WireError) -> [FileNotifyInformation] {
        var entries: [FileNotifyInformation] = []
        var at = 0
        guard data.byteCount > 0 else { return entries }
        while true {
            guard entries.count < Self.maximumEntries else { throw .limitExceeded("notifications") }
            guard data.byteCount - at >= Self.fixedByteCount else { throw .truncated("FILE_NOTIFY_INFORMATION") }
            let next = Int(data.load(UInt32.self, at: at))
            let length = Int(data.load(UInt32.self, at: at + 8))
            guard length <= data.byteCount - at - Self.fixedByteCount else { throw .outOfBounds("notified name") }
            let start = at + Self.fixedByteCount
            entries.append(
                FileNotifyInformation(
                    action: Action(rawValue: data.load(UInt32.self, at: at + 4)),
                    name: try UTF16LE.decode(data.extracting(start..<start + length))))
            guard next != 0 else { return entries }
            guard next >= Self.fixedByteCount, next <= data.byteCount - at else {
                throw .outOfBounds("NextEntryOffset")
            }
            at += next
        }
    }
}
