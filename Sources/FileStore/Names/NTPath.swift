import SMB2Wire

/// A name as CREATE, rename and link carry it, [MS-FSCC] 2.1.5, [MS-FSA] 2.1.5.1: relative to the share's root, validated,
/// and turned into what Linux wants. The empty path is the root.
package struct NTPath: Hashable, Sendable {
    /// Components joined by '/', UTF-8, no terminator, no leading or trailing slash. May be changed by a caller that
    /// learned a component's true case.
    package private(set) var bytes: [UInt8]
    /// Where the last component begins in `bytes`.
    package private(set) var lastStart: Int
    /// A named stream of the file, without its type; UTF-8. Nil for the file's own data.
    package private(set) var stream: [UInt8]?
    /// The path ended in a backslash, or named `$INDEX_ALLOCATION`: it can only be a directory.
    package private(set) var requiresDirectory: Bool
    /// It ended in `::$DATA`: the file's own data by their full name, which no directory has.
    package private(set) var namesData = false
    /// The last component is what Windows keeps for devices (CON, NUL, COM1.txt...).
    package private(set) var isDevice = false
    /// The last component ends in a space or a dot.
    package private(set) var endsAsNoneOfWin32 = false

    package static let root = NTPath()

    private init() {
        self.bytes = []
        self.lastStart = 0
        self.requiresDirectory = false
    }

    /// A path that the kernel told, relative to the root.
    init(onDisk bytes: [UInt8]) {
        self.init()
        self.bytes = bytes
        self.lastStart = (bytes.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
    }

    /// From the wire: UTF-16LE.
    package init(utf16 span: RawSpan) throws(FileError) {
        guard span.byteCount & 1 == 0 else { throw FileError(.objectNameInvalid, "a name of an odd length") }
        var units: [UInt16] = []
        units.reserveCapacity(span.byteCount / 2)
        var at = 0
        while at < span.byteCount {
            units.append(UInt16(littleEndian: span.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self)))
            at += 2
        }
        try self.init(utf16Units: units)
    }

    package init(_ text: String) throws(FileError) { try self.init(utf16Units: Array(text.utf16)) }

    package init(utf16Units units: [UInt16]) throws(FileError) {
        self.init()
        guard !units.isEmpty else { return }
        let backslash = UInt16(UInt8(ascii: "\\"))
        // [MS-SMB2] 3.3.5.9.
        guard units[0] != backslash else { throw FileError(.invalidParameter, "a name that begins with a separator") }
        self.bytes.reserveCapacity(units.count + units.count / 8)
        var start = 0
        while start < units.count {
            let end = units[start...].firstIndex(of: backslash) ?? units.count
            let isLast = end == units.count || end == units.count - 1
            if end < units.count, isLast { self.requiresDirectory = true }
            var component = units[start..<end]
            if let colon = component.firstIndex(of: UInt16(UInt8(ascii: ":"))) {
                guard isLast, !self.requiresDirectory else { throw FileError(.objectNameInvalid, "a colon in a path") }
                try self.parseStream(component[(colon + 1)...])
                component = component[..<colon]
                // ":stream" is a stream of the root itself.
                if component.isEmpty, start == 0 { return }
            }
            try self.append(component, isLast: isLast)
            start = end + 1
        }
        guard self.bytes.count < FileStoreLimits.pathBytes else { throw FileError(.nameTooLong, "a path too long") }
    }

    private mutating func append(_ component: ArraySlice<UInt16>, isLast: Bool) throws(FileError) {
        guard !component.isEmpty else { throw FileError(.objectNameInvalid, "an empty component") }
        guard component.count <= FileStoreLimits.nameUnits else {
            throw FileError(.objectNameInvalid, "a name too long")
        }
        for unit in component where !NameRules.isAllowed(unit) {
            throw FileError(.objectNameInvalid, "a character that no name may have")
        }
        let dot = UInt16(UInt8(ascii: "."))
        if component.allSatisfy({ $0 == dot }), component.count <= 2 {
            throw FileError(component.count == 2 ? .objectPathSyntaxBad : .objectNameInvalid, "a dot component")
        }
        if !self.bytes.isEmpty { self.bytes.append(UInt8(ascii: "/")) }
        let start = self.bytes.count
        NameText.appendUTF8(component, to: &self.bytes)
        guard self.bytes.count - start <= FileStoreLimits.nameBytes else {
            throw FileError(.objectNameInvalid, "a name too long for the disk")
        }
        if isLast {
            self.lastStart = start
            self.isDevice = NameRules.isDevice(component)
            self.endsAsNoneOfWin32 = NameRules.endsAsNoneOfWin32(component)
        }
    }

    /// `stream`, `stream:$DATA`, `:$DATA` (the file itself), `$I30:$INDEX_ALLOCATION` (the directory itself),
    /// [MS-FSCC] 2.1.5.3.
    private mutating func parseStream(_ text: ArraySlice<UInt16>) throws(FileError) {
        let colon = UInt16(UInt8(ascii: ":"))
        let parts = text.split(separator: colon, omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw FileError(.objectNameInvalid, "a stream's name") }
        let name = parts[0]
        if parts.count == 2 {
            let type = String(decoding: parts[1], as: UTF16.self).uppercased()
            if type == "$INDEX_ALLOCATION" {
                let index = String(decoding: name, as: UTF16.self).uppercased()
                guard index.isEmpty || index == "$I30" else { throw FileError(.objectNameInvalid, "an index's name") }
                self.requiresDirectory = true
                return
            }
            guard type == "$DATA" else { throw FileError(.objectNameInvalid, "a stream's type") }
            if name.isEmpty {
                self.namesData = true
                return
            }
        }
        guard !name.isEmpty, name.count <= FileStoreLimits.nameUnits else {
            throw FileError(.objectNameInvalid, "a stream's name")
        }
        // A stream's name may hold what a file's may not, except separators, colons and NUL, [MS-FSCC] 2.1.5.3.
        for unit in name where unit == 0 || unit == UInt16(UInt8(ascii: "/")) {
            throw FileError(.objectNameInvalid, "a stream's name")
        }
        var stream: [UInt8] = []
        NameText.appendUTF8(name, to: &stream)
        self.stream = stream
    }

    package var isRoot: Bool { self.bytes.isEmpty }
    /// Its directory is the root.
    var isInRoot: Bool { self.lastStart == 0 }
    /// The last component, as bytes.
    package var name: [UInt8] { Array(self.bytes[self.lastStart...]) }
    /// The path of the directory that holds it; the root's is the root.
    package var parentBytes: [UInt8] { self.lastStart == 0 ? [] : Array(self.bytes[..<(self.lastStart - 1)]) }

    /// The same path with another stream.
    package func withStream(_ stream: [UInt8]?) -> NTPath {
        var path = self
        path.stream = stream
        return path
    }

    /// In UTF-16 with backslashes, as FileNormalizedNameInformation and FileNameInformation show it (without the leading one),
    /// the stream included.
    package var shown: [UInt16] {
        var units: [UInt16] = []
        units.reserveCapacity(self.bytes.count)
        for (index, part) in self.bytes.split(separator: UInt8(ascii: "/")).enumerated() {
            if index > 0 { units.append(UInt16(UInt8(ascii: "\\"))) }
            part.withUnsafeBufferPointer { NameText.appendShown($0, to: &units) }
        }
        if let stream = self.stream {
            units.append(UInt16(UInt8(ascii: ":")))
            units.append(contentsOf: String(decoding: stream, as: UTF8.self).utf16)
        }
        return units
    }

    package var shownString: String { String(decoding: self.shown, as: UTF16.self) }
}

/// What may stand in a name, [MS-FSCC] 2.1.5.2.
enum NameRules {
    @inline(__always)
    static func isAllowed(_ unit: UInt16) -> Bool {
        guard unit < 0x80 else { return true }
        switch UInt8(unit) {
        case 0..<0x20: return false
        case UInt8(ascii: "\""), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "<"),
            UInt8(ascii: ">"), UInt8(ascii: "?"), UInt8(ascii: "\\"), UInt8(ascii: "|"):
            return false
        default: return true
        }
    }

    /// Names whose end Win32 strips. Where the share gives short names, they have one that it takes.
    static func endsAsNoneOfWin32(_ name: some BidirectionalCollection<UInt16>) -> Bool {
        name.last == UInt16(UInt8(ascii: " ")) || name.last == UInt16(UInt8(ascii: "."))
    }

    /// Names that Win32 takes for devices, whatever the extension.
    static func isDevice(_ name: some BidirectionalCollection<UInt16>) -> Bool {
        let space = UInt16(UInt8(ascii: " "))
        let dot = UInt16(UInt8(ascii: "."))
        var stem = Array(name.prefix { $0 != dot })
        while stem.last == space { stem.removeLast() }
        guard (3...7).contains(stem.count) else { return false }
        let upper = stem.map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }
        let text = String(decoding: upper.prefix(3), as: UTF16.self)
        switch upper.count {
        case 3: return ["CON", "PRN", "AUX", "NUL"].contains(text)
        case 4:
            // 1...9 and the superscripts of Latin-1.
            guard text == "COM" || text == "LPT" else { return false }
            return (0x31...0x39).contains(upper[3]) || [0xB9, 0xB2, 0xB3].contains(upper[3])
        default:
            return ["CONIN$", "CONOUT$"].contains(String(decoding: upper, as: UTF16.self))
        }
    }
}
