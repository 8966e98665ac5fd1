import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// Change notification for any number of directories, [MS-SMB2] 3.3.5.19, [MS-FSA] 2.1.5.11, through one inotify descriptor.
///
/// The kernel watches single directories: a recursive watch holds one for each directory below, and follows as they come and
/// go. A file that this process makes is told of once: what it gives it in the making is no change. What was made in a
/// new directory before the kernel watched it is reported from a listing, so that a change may be told twice, but not
/// missed. What lies below a directory that gets another name in the tree keeps its numbers at the kernel: what waits
/// under them is told under the new name. At `FileStoreLimits.watchedDirectories`, or the kernel's own limit, a
/// recursive watch is told once that it has overflowed, and hears nothing from deeper down.
///
/// A tree of more than a few directories is not looked through at once: ``walk()`` does it, on a thread that may wait for disks.
/// What happens in it before its turn comes nobody sees; that is why the watch is told, when it is through, that it has overflowed.
/// So it is with every tree when the kernel's queue has overflowed (fs.inotify.max_queued_events): nobody knows what is
/// new in it.
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
    private let drainLimit: Int

    /// - Parameters:
    ///   - watchLimit: directories that the kernel watches; at it `watch` fails with
    ///     STATUS_INSUFFICIENT_RESOURCES, as it does at the kernel's own limit.
    ///   - drainLimit: events after which nothing more is read from the kernel in one go.
    package init(
        watchLimit: Int = FileStoreLimits.watchedDirectories, drainLimit: Int = FileStoreLimits.eventsPerDrain
    ) throws(FileError) {
        self.watchLimit = watchLimit
        self.drainLimit = drainLimit
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
        /// How often the kernel's queue has overflowed.
        var lossCount: UInt64 = 0
        /// Whose trees a directory left, by the rename's cookie, where the other half was not read with it: it may be
        /// in what is read next.
        var departed: [UInt32: Set<WatchID>] = [:]
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

    /// What of that which lies in a tree is told as added.
    private enum Reporting {
        case nothing
        /// What lies in directories that the watch has no interest in yet.
        case unwatched
        case everything
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

        /// Whether this name in the directory at `prefix` is the server's own directory.
        func hides(_ name: some Collection<UInt8>, in prefix: [UInt8]) -> Bool {
            prefix.isEmpty && self.hidesOwnDirectory && OwnDirectory.isName(name)
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
            if recursive { self.addTree(prefix: [], id, &state, reporting: .nothing) }
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
        var notices: [InotifyNotice] = []
        while notices.count < self.drainLimit {
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

    /// False where there is nothing more for now.
    private func read(into notices: inout [InotifyNotice]) throws(FileError) -> Bool {
        var result = 0
        withUnsafeTemporaryAllocation(byteCount: Self.bufferBytes, alignment: 8) { buffer in
            result = clinux_read(self.inotify.number, buffer.baseAddress, buffer.count)
            guard result > 0 else { return }
            InotifyNotice.append(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<result]), to: &notices)
        }
        if failed(result, EAGAIN) || failed(result, EINTR) { return false }
        return try check(result, "read inotify") > 0
    }

    /// Whether the watch had no interest in it yet. Whatever its prefix was, now it is this one.
    @discardableResult
    private func add(
        _ directory: Int32, prefix: [UInt8], _ id: WatchID, _ state: inout State
    ) throws(FileError) -> Bool {
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
        state.watches[id]?.directories.insert(number)
        return state.interests[number, default: [:]].updateValue(prefix, forKey: id) == nil
    }

    /// The directory at `prefix` and all below it, what is left of a large tree by ``walk()``. One after another and
    /// from the root: a client decides how deep they lie, and neither the stack nor open directories may count its
    /// levels.
    private func addTree(
        prefix: [UInt8], _ id: WatchID, _ state: inout State, reporting: Reporting
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
                    return state.walks.append(
                        Walk(watch: id, waiting: waiting, isReporting: reporting == .everything))
                }
                let isNew = try self.add(opened.number, prefix: prefix, id, &state)
                let children = try Self.children(of: opened, prefix, watch.root)
                waiting += self.take(
                    children, of: prefix, id, &state,
                    reporting: reporting == .everything || reporting == .unwatched && isNew)
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
        while try reader.next({ name, type in
            guard !isDotEntry(name), !root.hides(name, in: prefix) else { return }
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
        let step = self.state.withLock {
            state -> (walk: Walk, prefix: [UInt8], root: WatchRoot, lossCount: UInt64)? in
            state.walks.removeAll { state.watches[$0.watch]?.hasOverflowed != false }
            guard let walk = state.walks.first, let watch = state.watches[walk.watch], let prefix = walk.waiting.last
            else { return nil }
            return (walk, prefix, watch.root, state.lossCount)
        }
        guard let (walk, prefix, root, lossCount) = step else { return false }
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
            // Unless it has been given up meanwhile, it is still the first: others come behind it. It begins anew where
            // the kernel lost what came after this listing, and takes the directory again that got another name.
            guard state.lossCount == lossCount, let first = state.walks.first, first.watch == walk.watch,
                first.waiting.last == prefix
            else { return false }
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

    private func handle(_ notices: [InotifyNotice], _ state: inout State) {
        guard !notices.isEmpty else { return }
        let renames = InotifyRenames(notices)
        let departedBefore = Array(state.departed.keys)
        defer { for cookie in departedBefore { state.departed[cookie] = nil } }
        for notice in notices {
            if notice.says(IN_Q_OVERFLOW) {
                self.lookAgain(&state)
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
            let otherHalf = renames.otherHalf(of: notice)
            for interest in interests {
                self.tell(notice, interest, otherHalf: otherHalf, isBeingMade: isBeingMade, &state)
            }
        }
    }

    /// The kernel's queue has overflowed: directories came, went and got other names, and nobody knows which. Who
    /// watches looks for itself now, and each tree is looked through from its root again, after which they look once
    /// more.
    private func lookAgain(_ state: inout State) {
        state.lossCount += 1
        for id in state.watches.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            state.events.append(.overflowed(id))
            guard let watch = state.watches[id], watch.isRecursive, !watch.hasOverflowed else { continue }
            // Their names may be others, and those that are gone would count against the limit.
            let below = watch.directories.filter { state.interests[$0]?[id]?.isEmpty == false }
            self.drop(id, below, &state)
            state.walks.removeAll { $0.watch == id }
            state.walks.append(Walk(watch: id, waiting: [[]], isReporting: false))
        }
    }

    /// Where a directory that got another name lies now, if that is in this watch's tree.
    private func destination(
        _ movedTo: InotifyNotice, in id: WatchID, _ state: borrowing State
    ) -> [UInt8]? {
        guard let prefix = state.interests[movedTo.directory]?[id], let watch = state.watches[id],
            !watch.root.hides(movedTo.name, in: prefix)
        else { return nil }
        return prefix + movedTo.name + [UInt8(ascii: "/")]
    }

    /// A tree in the watch's has another name. What the kernel watches there it goes on watching, and what it has said
    /// of it by now is told under the new name.
    private func rename(_ id: WatchID, from: [UInt8], to: [UInt8], _ state: inout State) {
        for number in self.directories(of: id, below: from, state) {
            guard let prefix = state.interests[number]?[id] else { continue }
            state.interests[number]?[id] = to + prefix.dropFirst(from.count)
        }
        for index in state.walks.indices where state.walks[index].watch == id {
            state.walks[index].waiting = state.walks[index].waiting.map {
                $0.starts(with: from) ? to + $0.dropFirst(from.count) : $0
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
        _ notice: InotifyNotice, _ interest: Interest, otherHalf: InotifyNotice?, isBeingMade: Bool,
        _ state: inout State
    ) {
        guard let watch = state.watches[interest.watch], !notice.name.isEmpty else { return }
        if watch.root.hides(notice.name, in: interest.prefix) { return }
        let isRename = otherHalf?.directory == notice.directory
        let id = interest.watch
        let path = interest.prefix + notice.name
        let below = path + [UInt8(ascii: "/")]
        if notice.says(IN_MOVED_FROM) {
            self.report(id, isRename ? .renamedOldName : .removed, path, isDirectory: notice.isDirectory, &state)
            guard watch.isRecursive, notice.isDirectory else { return }
            if let otherHalf, let new = self.destination(otherHalf, in: id, state) {
                return self.rename(id, from: below, to: new, &state)
            }
            self.drop(id, self.directories(of: id, below: below, state), &state)
            if otherHalf == nil { state.departed[notice.cookie, default: []].insert(id) }
        } else if notice.says(IN_MOVED_TO) || notice.says(IN_CREATE) {
            self.report(id, isRename ? .renamedNewName : .added, path, isDirectory: notice.isDirectory, &state)
            if notice.says(IN_MOVED_TO), !notice.isDirectory, !watch.filter.contains(.fileName) {
                // A file that gets another name gets the archive attribute, too: who is told of the name is not told of
                // that.
                self.report(id, .modified, path, wanting: [.attributes, .creation], &state)
            }
            guard watch.isRecursive, notice.isDirectory else { return }
            // It was in this tree, and its directories were let go before anybody knew that it still is: what happened
            // in them since is lost.
            if state.departed[notice.cookie]?.contains(id) == true, notice.says(IN_MOVED_TO) {
                state.events.append(.overflowed(id))
            }
            // A folder that was made elsewhere to get its name here (MarkedFolders.swift) was empty.
            self.addTree(
                prefix: below, id, &state,
                reporting: notice.says(IN_CREATE) || isBeingMade ? .everything : self.news(of: otherHalf, id, state))
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

    /// What was moved in was there before: the client lists it if it wants to know. What moved within the tree is
    /// watched already, but for the directories that were made so shortly before that they were not found under the old
    /// name any more: what is in them is told, unless the tree is still looked through and they may be old.
    private func news(of movedFrom: InotifyNotice?, _ id: WatchID, _ state: borrowing State) -> Reporting {
        guard let movedFrom, state.interests[movedFrom.directory]?[id] != nil else { return .nothing }
        return state.walks.contains { $0.watch == id } ? .nothing : .unwatched
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
