import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// One enumeration of a directory: QUERY_DIRECTORY's state in an open, [MS-FSA] 2.1.5.6.3. `.` and `..` come first, then the
/// rest in the directory's own order. Names that are added or removed meanwhile may or may not be seen; all others are seen
/// exactly once.
package final class DirectoryCursor: Sendable {
    private enum Phase { case dot, dotDot, entries, done }

    private struct State: ~Copyable {
        var reader: DirectoryReader
        var pattern = NamePattern([])
        var phase = Phase.dot
        var pushedBack: DirectoryEntry?
        /// A pattern without wildcards is one lookup.
        var single: [UInt16]?
    }

    private let file: OpenFile
    /// It is the root of a volume that has the server's own directory in it.
    private let hidesOwnDirectory: Bool
    private let state: Mutex<State>
    private let visible: (@Sendable (SecurityDescriptor) -> Bool)?
    private let readsApple = Atomic(false)

    /// From now on the entries have what the Finder keeps of them: two more system calls an entry.
    package func showAppleAttributes() { self.readsApple.store(true, ordering: .relaxed) }

    /// - Parameter visible: which entries are shown, by their descriptors in force; nil: all.
    package init(_ file: OpenFile, visible: (@Sendable (SecurityDescriptor) -> Bool)? = nil) throws(FileError) {
        guard file.isDirectory else { throw FileError(.invalidParameter, "list what is no directory") }
        self.file = file
        self.hidesOwnDirectory = try file.hidesOwnDirectory()
        self.visible = visible
        self.state = Mutex(State(reader: try DirectoryReader(file.handle.number)))
    }

    /// From the beginning. An empty pattern is `*`.
    package func restart(pattern: [UInt16]) throws(FileError) {
        let isCaseSensitive = self.file.volume.options.isCaseSensitive || self.file.isPOSIX
        try self.state.withLock { state throws(FileError) in
            try state.reader.restart()
            state.pattern = NamePattern(pattern, isCaseSensitive: isCaseSensitive)
            state.phase = .dot
            state.pushedBack = nil
            state.single = state.pattern.hasWildcards || pattern.isEmpty ? nil : pattern
        }
    }

    /// From the beginning, with the same pattern.
    package func restart() throws(FileError) {
        try self.state.withLock { state throws(FileError) in
            try state.reader.restart()
            state.phase = .dot
            state.pushedBack = nil
        }
    }

    /// Gives back an entry that found no room: it comes next.
    package func unread(_ entry: DirectoryEntry) {
        self.state.withLock { $0.pushedBack = entry }
    }

    /// Nil at the end.
    package func next() throws(FileError) -> DirectoryEntry? {
        try self.state.withLock { state throws(FileError) in
            if let entry = state.pushedBack.take() { return entry }
            if let wanted = state.single, state.phase != .done {
                state.phase = .done
                return try self.lookup(wanted)
            }
            while true {
                switch state.phase {
                case .dot:
                    state.phase = .dotDot
                    if state.pattern.matches([0x2E]) { return try self.own([0x2E]) }
                case .dotDot:
                    state.phase = .entries
                    if state.pattern.matches([0x2E, 0x2E]) { return try self.above() }
                case .entries:
                    guard let entry = try self.read(&state) else {
                        state.phase = .done
                        return nil
                    }
                    return entry
                case .done:
                    return nil
                }
            }
        }
    }

    private func own(_ name: [UInt16]) throws(FileError) -> DirectoryEntry {
        let status = try FileStatus(self.file.handle)
        let dos = self.file.volume.attributeCache.attributes(of: self.file.handle, status)
        return DirectoryEntry(name: name, information: FileInformation(status, dos))
    }

    /// The root's parent is itself: nothing outside of the share is shown.
    private func above() throws(FileError) -> DirectoryEntry {
        let name: [UInt16] = [0x2E, 0x2E]
        guard let path = try? self.file.currentPath(), !path.isRoot,
            let parent = try? self.file.volume.findDirectory(path.parentBytes)
        else { return try self.own(name) }
        let status = try FileStatus(parent)
        let dos = self.file.volume.attributeCache.attributes(of: parent, status)
        return DirectoryEntry(name: name, information: FileInformation(status, dos))
    }

    private func lookup(_ wanted: [UInt16]) throws(FileError) -> DirectoryEntry? {
        if wanted == [0x2E] { return try self.own(wanted) }
        if wanted == [0x2E, 0x2E] { return try self.above() }
        var name: [UInt8] = []
        NameText.appendUTF8(wanted, to: &name)
        guard !name.contains(UInt8(ascii: "/")), !name.contains(0), name.count <= FileStoreLimits.nameBytes else {
            return nil
        }
        let directory = self.file.handle.number
        if let entry = try self.entry(name) { return entry }
        if self.file.isPOSIX, let original = POSIXSpelling.original(name) { return try self.entry(original) }
        guard !self.file.volume.options.isCaseSensitive, !self.file.isPOSIX,
            let spelling = try self.file.volume.spelling(of: name, in: directory)
        else { return nil }
        return try self.entry(spelling)
    }

    private func read(_ state: inout State) throws(FileError) -> DirectoryEntry? {
        var name: [UInt16] = []
        var onDisk: [UInt8] = []
        while try state.reader.next({ bytes, _ in
            name.removeAll(keepingCapacity: true)
            onDisk.removeAll(keepingCapacity: true)
            guard !isDotEntry(bytes) else { return }
            NameText.appendShown(bytes, to: &name)
            onDisk.append(contentsOf: bytes)
        }) {
            guard !name.isEmpty, state.pattern.matches(name) else { continue }
            if let entry = try self.entry(onDisk, shown: name) { return entry }
        }
        return nil
    }

    /// Nil where it went meanwhile, and of the server's own directory, by whatever name it was asked for.
    private func entry(_ onDisk: [UInt8], shown: [UInt16]? = nil) throws(FileError) -> DirectoryEntry? {
        if self.hidesOwnDirectory, OwnDirectory.isName(onDisk) { return nil }
        let directory = self.file.handle.number
        guard let status = try FileStatus(directory: directory, entry: onDisk) else { return nil }
        if let visible = self.visible, try !self.shows(onDisk, status, visible) { return nil }
        var dos = DOSAttributes()
        if status.isRegular || status.isDirectory {
            dos = self.file.volume.attributeCache.attributes(status) {
                withTerminated(onDisk) { DOSAttributes.read(directory: directory, entry: $0) }
            }
        }
        var item = DirectoryEntry(
            name: shown ?? NameText.shown(onDisk),
            information: self.file.volume.hiding(
                self.file.volume.stickyTimes.shown(FileInformation(status, dos)), named: onDisk))
        if self.readsApple.load(ordering: .relaxed) {
            item.apple = AppleAttributes(directory: directory, entry: onDisk, of: self.file.volume)
        }
        return item
    }

    /// Nothing to judge by: not shown. It went meanwhile, or a mount is in the way.
    private func shows(
        _ onDisk: [UInt8], _ status: borrowing FileStatus, _ visible: (SecurityDescriptor) -> Bool
    ) throws(FileError) -> Bool {
        let volume = self.file.volume
        let result = volume.openBeneath(self.file.handle.number, onDisk, clinux_o_path)
        guard result >= 0 else { return false }
        let entry = Descriptor(number: Int32(truncatingIfNeeded: result))
        let directory = try self.file.currentPath().bytes
        let path = NTPath(onDisk: directory.isEmpty ? onDisk : directory + [UInt8(ascii: "/")] + onDisk)
        return visible(try volume.security(of: entry, status, at: path))
    }
}
