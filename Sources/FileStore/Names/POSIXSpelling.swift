import CLinux
import Glibc
import SMB2Wire

/// What a POSIX open asks of the file system beyond what every open does.
package struct POSIXOpen: Equatable, Sendable {
    /// Permission bits of what is created (07777).
    package var mode: UInt32

    package init(mode: UInt32) { self.mode = mode }
}

/// Names of POSIX opens: only the very spelling is the file. What the core mapped away (`POSIXNames`) stands for itself on
/// disk; where somebody made a file of the mapped name itself, that one is meant, because it is what is shown.
///
/// The index of a directory is neither asked nor left to itself: every creation and removal goes through
/// `DirectoryIndexes.change`, which keeps names that differ in case apart, so that an open that knows no case still finds
/// the one that it spells exactly, or else one of them, and the same one as long as nothing changes.
enum POSIXSpelling {
    /// The bytes with every mapped character undone; nil where there is none, or a name would come of it that is none.
    static func original(_ name: [UInt8]) -> [UInt8]? {
        // U+F000...U+F03F are 0xEF 0x80 and a last byte of 0x80 to 0xBF.
        guard name.contains(0xEF) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(name.count)
        var at = 0
        while at < name.count {
            if name.count - at >= 3, name[at] == 0xEF, name[at + 1] == 0x80, name[at + 2] & 0xC0 == 0x80,
                let unit = POSIXNames.original(0xF000 | UInt16(name[at + 2] & 0x3F))
            {
                bytes.append(UInt8(truncatingIfNeeded: unit))
                at += 3
            } else {
                bytes.append(name[at])
                at += 1
            }
        }
        return bytes == name || bytes == [0x2E] || bytes == [0x2E, 0x2E] ? nil : bytes
    }

    /// What the name is made as.
    static func made(_ name: [UInt8]) -> [UInt8] { self.original(name) ?? name }
}

extension Volume {
    /// `find` for a POSIX open.
    func findExactly(_ path: NTPath) throws(FileError) -> Found {
        let exact = self.openBeneath(self.root.number, path.bytes, clinux_o_path)
        if exact >= 0 { return Found(target: Descriptor(number: Int32(truncatingIfNeeded: exact)), parent: nil) }
        guard failed(exact, ENOENT) else { throw Self.pathError(exact) }
        let parent = try self.findDirectoryExactly(path.parentBytes)
        for name in [path.name, POSIXSpelling.original(path.name)].compactMap(\.self) {
            try self.checkVisible(name, isInRoot: path.isInRoot)
            let result = self.openBeneath(parent.number, name, clinux_o_path)
            if result >= 0 { return Found(target: Descriptor(number: Int32(truncatingIfNeeded: result)), parent: nil) }
            guard failed(result, ENOENT) else { throw Self.pathError(result) }
        }
        return Found(target: nil, parent: parent)
    }

    /// `findDirectory` for a POSIX open.
    func findDirectoryExactly(_ path: [UInt8]) throws(FileError) -> Descriptor {
        let exact = self.openBeneath(self.root.number, path, clinux_o_path | O_DIRECTORY)
        if exact >= 0 { return Descriptor(number: Int32(truncatingIfNeeded: exact)) }
        guard failed(exact, ENOENT) else { throw Self.parentError(exact) }
        var current = try Descriptor(
            result: self.openBeneath(self.root.number, [], clinux_o_path | O_DIRECTORY), "open the share's root")
        for (level, component) in path.split(separator: UInt8(ascii: "/")).enumerated() {
            let name = Array(component)
            var result = self.openBeneath(current.number, name, clinux_o_path | O_DIRECTORY)
            if failed(result, ENOENT), let original = POSIXSpelling.original(name) {
                try self.checkVisible(original, isInRoot: level == 0)
                result = self.openBeneath(current.number, original, clinux_o_path | O_DIRECTORY)
            }
            guard result >= 0 else { throw Self.parentError(result) }
            current = Descriptor(number: Int32(truncatingIfNeeded: result))
        }
        return current
    }
}
