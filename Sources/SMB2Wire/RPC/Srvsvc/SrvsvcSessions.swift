/// A session as the server service shows it, [MS-SRVS] 2.2.4.12 to 2.2.4.16. Times in seconds.
package struct SrvsvcSession: Equatable, Sendable {
    package var client: String
    package var user: String
    package var opens: UInt32
    package var activeSeconds: UInt32
    package var idleSeconds: UInt32

    package init(client: String, user: String, opens: UInt32, activeSeconds: UInt32, idleSeconds: UInt32) {
        self.client = client
        self.user = user
        self.opens = opens
        self.activeSeconds = activeSeconds
        self.idleSeconds = idleSeconds
    }
}

/// A tree connect, [MS-SRVS] 2.2.4.1, 2.2.4.2.
package struct SrvsvcConnection: Equatable, Sendable {
    package var id: UInt32
    package var type: UInt32
    package var opens: UInt32
    package var activeSeconds: UInt32
    package var user: String
    /// The share where a client was asked for, the client where a share was.
    package var name: String

    package init(id: UInt32, type: UInt32, opens: UInt32, activeSeconds: UInt32, user: String, name: String) {
        self.id = id
        self.type = type
        self.opens = opens
        self.activeSeconds = activeSeconds
        self.user = user
        self.name = name
    }
}

/// An open file, [MS-SRVS] 2.2.4.6, 2.2.4.7.
package struct SrvsvcFile: Equatable, Sendable {
    package var id: UInt32
    /// PERM_FILE_READ 1, PERM_FILE_WRITE 2, PERM_FILE_CREATE 4.
    package var permissions: UInt32
    package var locks: UInt32
    package var path: String
    package var user: String

    package init(id: UInt32, permissions: UInt32, locks: UInt32, path: String, user: String) {
        self.id = id
        self.permissions = permissions
        self.locks = locks
        self.path = path
        self.user = user
    }
}

/// One thing that an enumeration lists, at the levels it has.
package protocol SrvsvcEntry {
    /// Levels of the enumeration's union; others cannot be unmarshalled.
    static var levels: Set<UInt32> { get }
    func appendFixed(level: UInt32, into writer: inout NDRWriter)
    func appendDeferred(level: UInt32, into writer: inout NDRWriter)
}

extension SrvsvcSession: SrvsvcEntry {
    package static let levels: Set<UInt32> = [0, 1, 2, 10, 502]

    package func appendFixed(level: UInt32, into writer: inout NDRWriter) {
        writer.appendPointer(true)
        guard level != 0 else { return }
        writer.appendPointer(true)
        if level != 10 { writer.append(self.opens) }
        writer.append(self.activeSeconds)
        writer.append(self.idleSeconds)
        if level != 10 { writer.append(UInt32(0)) }  // user_flags: neither a guest nor unencrypted
        if level == 2 || level == 502 { writer.appendPointer(true) }
        if level == 502 { writer.appendPointer(true) }
    }

    package func appendDeferred(level: UInt32, into writer: inout NDRWriter) {
        writer.append(string: self.client)
        guard level != 0 else { return }
        writer.append(string: self.user)
        // The client's type and the transport: SMB2 tells neither.
        if level == 2 || level == 502 { writer.append(string: "") }
        if level == 502 { writer.append(string: "") }
    }
}

extension SrvsvcConnection: SrvsvcEntry {
    package static let levels: Set<UInt32> = [0, 1]

    package func appendFixed(level: UInt32, into writer: inout NDRWriter) {
        writer.append(self.id)
        guard level == 1 else { return }
        writer.append(self.type)
        writer.append(self.opens)
        writer.append(UInt32(1))  // users
        writer.append(self.activeSeconds)
        writer.appendPointer(true)
        writer.appendPointer(true)
    }

    package func appendDeferred(level: UInt32, into writer: inout NDRWriter) {
        guard level == 1 else { return }
        writer.append(string: self.user)
        writer.append(string: self.name)
    }
}

extension SrvsvcFile: SrvsvcEntry {
    package static let levels: Set<UInt32> = [2, 3]

    package func appendFixed(level: UInt32, into writer: inout NDRWriter) {
        writer.append(self.id)
        guard level == 3 else { return }
        writer.append(self.permissions)
        writer.append(self.locks)
        writer.appendPointer(true)
        writer.appendPointer(true)
    }

    package func appendDeferred(level: UInt32, into writer: inout NDRWriter) {
        guard level == 3 else { return }
        writer.append(string: self.path)
        writer.append(string: self.user)
    }
}

/// NetrConnectionEnum, NetrFileEnum and NetrSessionEnum, [MS-SRVS] 3.1.4.1, .2, .5: alike but for the filters that stand
/// before the union.
package struct SrvsvcEnumeration: Equatable, Sendable {
    package var operation: UInt16
    /// Connections: the qualifier. Files: base path, user. Sessions: client, user.
    package var filters: [String?]
    package var level: UInt32
    package var preferredByteCount: UInt32
    package var resumeHandle: UInt32?

    package init(
        operation: UInt16, filters: [String?], level: UInt32, preferredByteCount: UInt32 = .max,
        resumeHandle: UInt32? = 0
    ) {
        self.operation = operation
        self.filters = filters
        self.level = level
        self.preferredByteCount = preferredByteCount
        self.resumeHandle = resumeHandle
    }

    package static func filterCount(_ operation: UInt16) -> Int {
        operation == SrvsvcOperation.netrConnectionEnum ? 1 : 2
    }

    package init(operation: UInt16, levels: Set<UInt32>, parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.operation = operation
        _ = try reader.uniqueString()
        self.filters = []
        for _ in 0..<Self.filterCount(operation) { self.filters.append(try reader.uniqueString()) }
        self.level = try reader.uint32()
        guard try reader.uint32() == self.level, levels.contains(self.level) else {
            throw .invalidValue("enumeration's union")
        }
        if try reader.pointer() {
            _ = try reader.uint32()
            guard try !reader.pointer() else { throw .invalidValue("enumeration with entries") }
        }
        self.preferredByteCount = try reader.uint32()
        self.resumeHandle = try reader.pointer() ? try reader.uint32() : nil
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.append(uniqueString: server)
        for filter in self.filters { writer.append(uniqueString: filter) }
        writer.append(self.level)
        writer.append(self.level)
        writer.appendPointer(true)
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(self.preferredByteCount)
        writer.appendPointer(self.resumeHandle != nil)
        if let handle = self.resumeHandle { writer.append(handle) }
    }

    /// `total`: how many there are from the resume handle on; `entries`: those of them that this answer holds.
    package func answer<Entry: SrvsvcEntry>(
        _ entries: [Entry], total: Int, status: UInt32, into writer: inout NDRWriter
    ) {
        writer.append(self.level)
        writer.append(self.level)
        writer.appendPointer(true)
        writer.append(UInt32(entries.count))
        writer.appendPointer(!entries.isEmpty)
        if !entries.isEmpty {
            writer.append(UInt32(entries.count))
            for entry in entries { entry.appendFixed(level: self.level, into: &writer) }
            for entry in entries { entry.appendDeferred(level: self.level, into: &writer) }
        }
        writer.append(UInt32(clamping: total))
        writer.appendPointer(self.resumeHandle != nil)
        if let handle = self.resumeHandle {
            let isMore = status == Win32Error.moreData
            writer.append(isMore ? handle &+ UInt32(entries.count) : 0)
        }
        writer.append(status)
    }
}

/// NetrRemoteTOD, [MS-SRVS] 3.1.4.21: TIME_OF_DAY_INFO, 2.2.4.105.
package struct SrvsvcTimeOfDay: Equatable, Sendable {
    package var time: FileTime
    /// Of a clock that only goes forward.
    package var milliseconds: UInt32

    package init(time: FileTime, milliseconds: UInt32) {
        self.time = time
        self.milliseconds = milliseconds
    }

    package func answer(into writer: inout NDRWriter) {
        let (seconds, nanoseconds) = self.time.unix
        let day = max(0, seconds / 86_400)
        let inDay = seconds - day * 86_400
        // Days since 0000-03-01: years begin in March, so that the leap day is a year's last.
        let shifted = day + 719_468
        let era = shifted / 146_097
        let ofEra = shifted % 146_097
        let year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * year + year / 4 - year / 100)
        let month = (5 * ofYear + 2) / 153
        let ofMonth = ofYear - (153 * month + 2) / 5 + 1
        writer.appendPointer(true)
        for value in [
            seconds, Int64(self.milliseconds), inDay / 3600, inDay / 60 % 60, inDay % 60, nanoseconds / 10_000_000,
            0,  // minutes west of Greenwich: the server's clock is UTC
            310,  // the clock's tick in 0.1 ms, as Windows says
            ofMonth, month < 10 ? month + 3 : month - 9, year + era * 400 + (month < 10 ? 0 : 1),
            (day + 4) % 7,
        ] {
            writer.append(UInt32(truncatingIfNeeded: value))
        }
        writer.append(Win32Error.success)
    }
}
