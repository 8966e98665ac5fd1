import Synchronization

/// What this process makes: a new file gets its attributes and its security descriptor after its name, which the kernel
/// calls changes of its attributes. Whoever watches is told of one new name. Of the process, as the kernel's watches
/// are: several volumes may have one directory.
final class Makings: Sendable {
    static let shared = Makings()

    private struct WeakWatcher: Sendable { weak var watcher: DirectoryWatcher? }

    private let watchers = Mutex<[WeakWatcher]>([])
    /// How many they are: without a watch in the process a creation looks no further.
    private let count = Atomic(0)

    func add(_ watcher: DirectoryWatcher) {
        self.watchers.withLock { watchers in
            watchers.removeAll { $0.watcher == nil }
            if !watchers.contains(where: { $0.watcher === watcher }) { watchers.append(WeakWatcher(watcher: watcher)) }
            self.count.store(watchers.count, ordering: .releasing)
        }
    }

    /// Makes `name` in a directory: `body`, from before the name is there to after the last of its attributes.
    func making<Value: ~Copyable>(
        _ name: [UInt8], in directory: borrowing Descriptor, _ body: () throws(FileError) -> Value
    ) throws(FileError) -> Value {
        guard self.count.load(ordering: .acquiring) > 0 else { return try body() }
        let made = DirectoryWatcher.Made(directory: try FileStatus(directory).inode, name: name)
        let watchers = self.watchers.withLock { $0.compactMap(\.watcher) }.filter { $0.begin(made) }
        defer { for watcher in watchers { watcher.end(made) } }
        return try body()
    }
}
