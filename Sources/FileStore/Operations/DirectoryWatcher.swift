import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// Change notification for any number of directories, [MS-SMB2] 3.3.5.19, [MS-FSA] 2.1.5.11, through one inotify descriptor.
///
/// The kernel watches single directories: a recursive watch holds one for each directory below, and follows as they come and
/// go. A file that this process makes is told of once: what it gives it in the making is no change. What was made in a
/// new directory before the kernel watched it is reported from a listing, so that a change may be told twice, but not
/// missed. At `FileStoreLimits.watchedDirectories`, or the kernel's own limit, a recursive watch is told once that it
/// has overflowed, and hears nothing from deeper down.
///
/// A tree of more than a few directories is not looked through at once: ``walk()`` does it, on a thread that may wait for disks.
/// What happens in it before its turn comes nobody sees; that is why the watch is told, when it is through, that it has overflowed.
package final class DirectoryWatcher: Sendable {
    /// What the kernel is asked for, whatever a watch's filter: one directory can have several.
    private static let mask = UInt32(
        IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR
            | IN_EXCL_UNLINK)
    private static let bufferBytes = 64 * 1024

    let inotify: Descriptor
    /// Readable while events wait that were read from the kernel by somebody else than `drain`.
    private let wakeup: Descriptor
    /// Waits for either.
    private let either: Descriptor
    private let state = Mutex(State())

    private let watchLimit: Int

    /// - Parameter watchLimit: directories that the kernel watches; at it `watch` fails with
    ///   STATUS_INSUFFICIENT_RESOURCES, as it does at the kernel's own limit.
    package init(watchLimit: Int = FileStoreLimits.watchedDirectories) throws(FileError) {
        self.watchLimit = watchLimit
        self.inotify = try Descriptor(result: clinux_inotify_init(), "inotify_init")
        self.wakeup = try Descriptor(result: Self.orError(clinux_eventfd()), "eventfd")
        self.either = try Descriptor(result: Self.orError(epoll_create1(Int32(EPOLL_CLOEXEC))), "epoll_create1")
        for descriptor in [self.inotify.number, self.wakeup.number] {
            try check(
                Int(clinux_epoll_control(self.either.number, EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue, 0)),
                "wait for changes")
        }
    }

    private static func orError(_ result: Int32) -> Int { result >= 0 ? Int(result) : -Int(errno) }

    /// Readable when `drain` has something to say.
    package var descriptor: Int32 { self.either.number }

    private struct Watch: Sendable {
        var root: WatchRoot
        var filter: CompletionFilter
        var isRecursive: Bool
        var hasOverflowed = false
        /// What the kernel watches for it.
        var directories: Set<Int32> = []
    }

    /// One watch's interest in one directory the kernel watches.
    private struct Interest: Sendable {
        var watch: WatchID
        /// From the watch's root, on disk, with '/' between and after; empty at the root.
        var prefix: [UInt8]
    }

    private struct State: Sendable {
        var watches: [WatchID: Watch] = [:]
        /// By the kernel's number of the directory, and whose prefix it is.
        var interests: [Int32: [WatchID: [UInt8]]] = [:]
        /// The inodes of those directories, and how many of them are each (a file system may be mounted twice).
        var inodes: [Int32: UInt64] = [:]
        var watchedInodes: [UInt64: Int] = [:]
        /// What this process makes right now in a watched directory, and how many make it.
        var making: [Made: Int] = [:]
        var nextID: UInt32 = 1
        /// What is left of trees that are looked through, the oldest first.
        var walks: [Walk] = []
        var events: [WatchEvent] = []

        mutating func forget(directory number: Int32) {
            self.interests[number] = nil
            guard let inode = self.inodes.removeValue(forKey: number), let count = self.watchedInodes[inode] else {
                return
            }
            self.watchedInodes[inode] = count > 1 ? count - 1 : nil
        }
    }

    /// Directories that are not watched yet, from the root of the watch, the next one last.
    private struct Walk: Sendable {
        var watch: WatchID
        var waiting: [[UInt8]]
        var isReporting: Bool
    }

    private struct Child {
        var name: [UInt8]
        var isDirectory: Bool
    }

    /// A name in a directory, which is an inode.
    struct Made: Hashable, Sendable {
        var directory: UInt64
        var name: [UInt8]
    }

    /// Keeps the directory open; no descriptor of its own, a client may have many watches.
    private final class WatchRoot: Sendable {
        let file: OpenFile
        var volume: Volume { self.file.volume }
        var descriptor: Int32 { self.file.handle.number }
        /// The server's own directory lies in it, and is not told of.
        let hidesOwnDirectory: Bool

        init(_ file: OpenFile) throws(FileError) {
            self.hidesOwnDirectory = try file.hidesOwnDirectory()
            self.file = file
        }
    }

    /// Events from now on. The directory is what the handle is open to, wherever it moves.
    package func watch(
        _ file: OpenFile, filter: CompletionFilter, recursive: Bool
    ) throws(FileError) -> WatchID {
        guard file.isDirectory else { throw FileError(.invalidParameter, "watch what is no directory") }
        let root = try WatchRoot(file)
        Makings.shared.add(self)
        return try self.state.withLock { state throws(FileError) in
            let id = WatchID(rawValue: state.nextID)
            state.nextID &+= 1
            state.watches[id] = Watch(root: root, filter: filter, isRecursive: recursive)
            do throws(FileError) {
                try self.add(root.descriptor, prefix: [], id, &state)
            } catch {
                state.watches[id] = nil
                throw error
            }
            if recursive { self.addTree(prefix: [], id, &state, reporting: false) }
            return id
        }
    }

    package func unwatch(_ id: WatchID) {
        self.state.withLock { state in
            guard let watch = state.watches.removeValue(forKey: id) else { return }
            self.drop(id, watch.directories, &state)
            state.walks.removeAll { $0.watch == id }
            state.events.removeAll { $0.watch == id }
        }
    }

    /// What happened since the last call, in order. Call it again while it returns as much as
    /// `FileStoreLimits.eventsPerDrain`.
    package func drain() throws(FileError) -> [WatchEvent] {
        try self.state.withLock { state throws(FileError) in
            var count: UInt64 = 0
            _ = clinux_read(self.wakeup.number, &count, MemoryLayout.size(ofValue: count))
            try self.readAll(&state)
            let events = state.events
            state.events = []
            return events
        }
    }

    private func readAll(_ state: inout State) throws(FileError) {
        var notices: [Notice] = []
        while notices.count < FileStoreLimits.eventsPerDrain {
            guard try self.read(into: &notices) else { break }
        }
        self.handle(notices, &state)
    }

    // MARK: What this process makes

    /// False where nobody watches.
    func begin(_ made: Made) -> Bool {
        self.state.withLock { state in
            guard state.watchedInodes[made.directory] != nil else { return false }
            state.making[made, default: 0] += 1
            return true
        }
    }

    /// What the kernel says of it up to here was its being made.
    func end(_ made: Made) {
        let hasEvents = self.state.withLock { state in
            // What cannot be read now `drain` fails to read, too, and says so.
            try? self.readAll(&state)
            let count = state.making[made] ?? 0
            state.making[made] = count > 1 ? count - 1 : nil
            return !state.events.isEmpty || !state.walks.isEmpty
        }
        if hasEvents { self.wake() }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(self.wakeup.number, &one, MemoryLayout.size(ofValue: one))
    }

    // MARK: The kernel's side

    private struct Notice {
        var directory: Int32
        var mask: UInt32
        var cookie: UInt32
        var name: [UInt8]

        var isDirectory: Bool { self.mask & UInt32(IN_ISDIR) != 0 }
        func says(_ bit: Int32) -> Bool { self.mask & UInt32(bit) != 0 }
        func says(_ bit: UInt32) -> Bool { self.mask & bit != 0 }
    }

    /// False where there is nothing more for now.
    private func read(into notices: inout [Notice]) throws(FileError) -> Bool {
        var result = 0
        withUnsafeTemporaryAllocation(byteCount: Self.bufferBytes, alignment: 8) { buffer in
            result = clinux_read(self.inotify.number, buffer.baseAddress, buffer.count)
            guard result > 0 else { return }
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<result])
            var at = 0
            // struct inotify_event: wd, mask, cookie, len (4 each), name.
            while bytes.count - at >= 16 {
                let length = Int(bytes.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
                precondition(length <= bytes.count - at - 16, "the kernel's own record")
                notices.append(
                    Notice(
                        directory: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self),
                        mask: bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self),
                        cookie: bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt32.self),
                        name: Array(bytes[(at + 16)..<(at + 16 + length)].prefix { $0 != 0 })))
                at += 16 + length
            }
        }
        if failed(result, EAGAIN) || failed(result, EINTR) { return false }
        return try check(result, "read inotify") > 0
    }

    private func add(_ directory: Int32, prefix: [UInt8], _ id: WatchID, _ state: inout State) throws(FileError) {
        let result = clinux_inotify_add_descriptor(self.inotify.number, directory, Self.mask)
        // fs.inotify.max_user_watches.
        if failed(result, ENOSPC) { throw FileError(.insufficientResources, "too many inotify watches") }
        let number = Int32(truncatingIfNeeded: try check(result, "watch a directory"))
        // Whether the kernel watches it already only its number tells.
        guard state.interests[number] != nil || state.interests.count < self.watchLimit else {
            _ = clinux_inotify_remove(self.inotify.number, number)
            throw FileError(.insufficientResources, "too many watched directories")
        }
        if state.interests[number] == nil {
            let inode = try FileStatus(number: directory).inode
            state.inodes[number] = inode
            state.watchedInodes[inode, default: 0] += 1
        }
        state.interests[number, default: [:]][id] = prefix
        state.watches[id]?.directories.insert(number)
    }

    /// The directory at `prefix` and all below it, what is left of a large tree by ``walk()``; with `reporting`, everything found
    /// is told as added. One after another and from the root: a client decides how deep they lie, and neither the stack nor open
    /// directories may count its levels.
    private func addTree(
        prefix: [UInt8], _ id: WatchID, _ state: inout State, reporting: Bool
    ) {
        var waiting = [prefix]
        var (directories, bytes) = (0, UInt64(0))
        do throws(FileError) {
            while let prefix = waiting.popLast() {
                guard let watch = state.watches[id], !watch.hasOverflowed else { return }
                guard let opened = try self.open(prefix, of: watch.root) else { continue }
                directories += 1
                bytes += try FileStatus(opened).size
                guard directories <= FileStoreLimits.watchedDirectoriesAtOnce,
                    bytes <= FileStoreLimits.watchedBytesAtOnce
                else {
                    waiting.append(prefix)
                    return state.walks.append(Walk(watch: id, waiting: waiting, isReporting: reporting))
                }
                try self.add(opened.number, prefix: prefix, id, &state)
                let children = try Self.children(of: opened, prefix, watch.root)
                waiting += self.take(children, of: prefix, id, &state, reporting: reporting)
            }
        } catch {
            self.overflow(id, &state)
        }
    }

    /// Nil where it is gone again, or no directory any more.
    private func open(_ prefix: [UInt8], of root: WatchRoot) throws(FileError) -> Descriptor? {
        let result = root.volume.openBeneath(
            root.descriptor, Array(prefix.dropLast()), clinux_o_path | O_DIRECTORY)
        // Deeper than a path can say.
        if failed(result, ENAMETOOLONG) { throw FileError(.insufficientResources, "watch so deep a directory") }
        return result >= 0 ? Descriptor(number: Int32(truncatingIfNeeded: result)) : nil
    }

    private static func children(
        of directory: borrowing Descriptor, _ prefix: [UInt8], _ root: WatchRoot
    ) throws(FileError) -> [Child] {
        var reader = try DirectoryReader(directory.number)
        var children: [Child] = []
        let hides = prefix.isEmpty && root.hidesOwnDirectory
        while try reader.next({ name, type in
            guard !isDotEntry(name), !(hides && OwnDirectory.isName(name)) else { return }
            children.append(Child(name: Array(name), isDirectory: type == UInt8(DT_DIR)))
        }) {}
        return children
    }

    /// What is below, the next one last.
    private func take(
        _ children: [Child], of prefix: [UInt8], _ id: WatchID, _ state: inout State, reporting: Bool
    ) -> [[UInt8]] {
        for child in children where reporting {
            self.report(id, .added, prefix + child.name, isDirectory: child.isDirectory, &state)
        }
        return children.reversed().filter(\.isDirectory).map { prefix + $0.name + [UInt8(ascii: "/")] }
    }

    // MARK: Large trees

    /// Whether there is something for ``walk()`` to do.
    package var hasWalks: Bool { self.state.withLock { !$0.walks.isEmpty } }

    /// Goes on with the oldest tree that is looked through, by one directory; false where there is none. Waits for disks while
    /// nobody else waits for it. One thread at a time.
    package func walk() -> Bool {
        let step = self.state.withLock { state -> (walk: Walk, prefix: [UInt8], root: WatchRoot)? in
            state.walks.removeAll { state.watches[$0.watch]?.hasOverflowed != false }
            guard let walk = state.walks.first, let watch = state.watches[walk.watch], let prefix = walk.waiting.last
            else { return nil }
            return (walk, prefix, watch.root)
        }
        guard let (walk, prefix, root) = step else { return false }
        var children: [Child] = []
        var hasFailed = false
        do throws(FileError) {
            // Here the disk is waited for. It may have got another name meanwhile, which the lock's holder would have been told of.
            _ = try self.open(prefix, of: root)
            let opened = try self.state.withLock { state throws(FileError) -> Descriptor? in
                guard state.watches[walk.watch] != nil, let opened = try self.open(prefix, of: root) else { return nil }
                try self.add(opened.number, prefix: prefix, walk.watch, &state)
                return opened
            }
            // The kernel knew of it before: what comes in between is seen.
            if let opened { children = try Self.children(of: opened, prefix, root) }
        } catch { hasFailed = true }
        let hasEnded = self.state.withLock { state in
            // Unless it has been given up meanwhile, it is still the first: others come behind it.
            guard let first = state.walks.first, first.watch == walk.watch, first.waiting.last == prefix else {
                return false
            }
            state.walks[0].waiting.removeLast()
            state.walks[0].waiting += self.take(
                children, of: prefix, walk.watch, &state, reporting: walk.isReporting)
            guard hasFailed || state.walks[0].waiting.isEmpty else { return false }
            state.walks.removeFirst()
            if hasFailed {
                self.overflow(walk.watch, &state)
            } else if state.watches[walk.watch]?.hasOverflowed == false {
                state.events.append(.overflowed(walk.watch))
            }
            return true
        }
        if hasEnded { self.wake() }
        return true
    }

    /// Forgets a watch's interest in these directories; the kernel's where nobody else has one.
    private func drop(_ id: WatchID, _ directories: Set<Int32>, _ state: inout State) {
        for number in directories {
            state.watches[id]?.directories.remove(number)
            state.interests[number]?[id] = nil
            guard state.interests[number]?.isEmpty == true else { continue }
            state.forget(directory: number)
            _ = clinux_inotify_remove(self.inotify.number, number)
        }
    }

    /// Those of a watch that lie below `prefix`.
    private func directories(of id: WatchID, below prefix: [UInt8], _ state: borrowing State) -> Set<Int32> {
        (state.watches[id]?.directories ?? []).filter { state.interests[$0]?[id]?.starts(with: prefix) == true }
    }

    // MARK: What it means

    private func handle(_ notices: [Notice], _ state: inout State) {
        var pairedWith: [UInt32: Int] = [:]
        for (index, notice) in notices.enumerated() where notice.says(IN_MOVED_TO) { pairedWith[notice.cookie] = index }
        var movedFrom: [UInt32: Int32] = [:]
        for notice in notices {
            if notice.says(IN_Q_OVERFLOW) {
                for id in state.watches.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
                    state.events.append(.overflowed(id))
                }
                continue
            }
            guard let known = state.interests[notice.directory] else { continue }
            let isBeingMade =
                !state.making.isEmpty
                && state.inodes[notice.directory].map {
                    state.making[Made(directory: $0, name: notice.name)] != nil
                } == true
            if notice.says(IN_ATTRIB) || notice.says(IN_MODIFY), isBeingMade { continue }
            let interests = known.map { Interest(watch: $0, prefix: $1) }.sorted {
                $0.watch.rawValue < $1.watch.rawValue
            }
            if notice.says(IN_IGNORED) || notice.says(IN_DELETE_SELF) {
                self.end(interests, notice.directory, &state)
                continue
            }
            if notice.says(IN_MOVED_FROM), let to = pairedWith[notice.cookie], notices[to].directory == notice.directory
            {
                movedFrom[notice.cookie] = notice.directory
            }
            let isRename = movedFrom[notice.cookie] == notice.directory && notice.cookie != 0
            for interest in interests {
                self.tell(notice, interest, isRename: isRename, isBeingMade: isBeingMade, &state)
            }
        }
    }

    private func end(_ interests: [Interest], _ directory: Int32, _ state: inout State) {
        state.forget(directory: directory)
        for interest in interests { state.watches[interest.watch]?.directories.remove(directory) }
        for interest in interests where interest.prefix.isEmpty {
            guard let watch = state.watches.removeValue(forKey: interest.watch) else { continue }
            self.drop(interest.watch, watch.directories, &state)
            state.walks.removeAll { $0.watch == interest.watch }
            state.events.append(.ended(interest.watch))
        }
    }

    private func tell(
        _ notice: Notice, _ interest: Interest, isRename: Bool, isBeingMade: Bool, _ state: inout State
    ) {
        guard let watch = state.watches[interest.watch], !notice.name.isEmpty else { return }
        if interest.prefix.isEmpty, watch.root.hidesOwnDirectory, OwnDirectory.isName(notice.name) { return }
        let id = interest.watch
        let path = interest.prefix + notice.name
        let below = path + [UInt8(ascii: "/")]
        if notice.says(IN_MOVED_FROM) {
            self.report(id, isRename ? .renamedOldName : .removed, path, isDirectory: notice.isDirectory, &state)
            if watch.isRecursive, notice.isDirectory {
                self.drop(id, self.directories(of: id, below: below, state), &state)
            }
        } else if notice.says(IN_MOVED_TO) || notice.says(IN_CREATE) {
            self.report(id, isRename ? .renamedNewName : .added, path, isDirectory: notice.isDirectory, &state)
            if notice.says(IN_MOVED_TO), !notice.isDirectory, !watch.filter.contains(.fileName) {
                // A file that gets another name gets the archive attribute, too: who is told of the name is not told of
                // that.
                self.report(id, .modified, path, wanting: [.attributes, .creation], &state)
            }
            guard watch.isRecursive, notice.isDirectory else { return }
            // What was moved in was there before: the client lists it if it wants to know. Not so a folder that was
            // made elsewhere to get its name here (MarkedFolders.swift): it was empty.
            self.addTree(prefix: below, id, &state, reporting: notice.says(IN_CREATE) || isBeingMade)
        } else if notice.says(IN_DELETE) {
            self.report(id, .removed, path, isDirectory: notice.isDirectory, &state)
        } else if notice.says(IN_MODIFY) {
            self.report(id, .modified, path, wanting: [.size, .lastWrite, .attributes], &state)
        } else if notice.says(IN_ATTRIB) {
            self.report(
                id, .modified, path,
                wanting: [
                    .attributes, .lastWrite, .lastAccess, .creation, .extendedAttributes, .security, .streamName,
                    .streamSize, .streamWrite,
                ], &state)
        }
    }

    private func report(
        _ id: WatchID, _ action: WatchEvent.Action, _ path: [UInt8], isDirectory: Bool, _ state: inout State
    ) {
        self.report(id, action, path, wanting: isDirectory ? .directoryName : .fileName, &state)
    }

    private func report(
        _ id: WatchID, _ action: WatchEvent.Action, _ path: [UInt8], wanting: CompletionFilter, _ state: inout State
    ) {
        guard let watch = state.watches[id], !watch.filter.isDisjoint(with: wanting) else { return }
        state.events.append(.changed(id, action, name: NTPath(onDisk: path).shown))
    }

    private func overflow(_ id: WatchID, _ state: inout State) {
        guard state.watches[id]?.hasOverflowed == false else { return }
        state.watches[id]?.hasOverflowed = true
        state.events.append(.overflowed(id))
    }
}

extension WatchEvent {
    package var watch: WatchID {
        switch self {
        case .changed(let id, _, _), .overflowed(let id), .ended(let id): id
        }
    }
}
