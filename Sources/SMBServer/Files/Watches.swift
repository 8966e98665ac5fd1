import FileStore
import SMB2Wire
import SMBServerCore
import Synchronization

/// The server's eyes for CHANGE_NOTIFY: FileStore's inotify watcher, and which open each watch belongs to.
package final class Watches: DirectoryWatching {
    /// What happened to the directory of one open.
    package struct Report: Sendable {
        package var key: UInt64
        package var events: [FileNotifyInformation] = []
        package var isOverflow = false
    }

    private let watcher: DirectoryWatcher
    private let keys = Mutex<[WatchID: UInt64]>([:])
    /// Looks through large trees. One that waits is enough: it begins when the one that runs sees nothing more to do.
    private let walks = WorkerPool("smb-watch", threads: 1, waitingLimit: 1)

    package init() throws(FileError) { self.watcher = try DirectoryWatcher() }

    /// Readable when `drain` has something to say.
    package var descriptor: Int32 { self.watcher.descriptor }

    package func watch(
        _ handle: any FileHandle, key: UInt64, filter: ChangeNotifyRequest.Filter, isRecursive: Bool
    ) throws(SMBError) -> any DirectoryWatch {
        let id = try files { () throws(FileError) in
            try self.watcher.watch(
                OpenFile.of(handle), filter: CompletionFilter(rawValue: filter.rawValue), recursive: isRecursive)
        }
        self.keys.withLock { $0[id] = key }
        self.startWalks()
        return Watch(watches: self, id: id)
    }

    /// What happened since the last call, one report an open, in the order of the opens' first events.
    package func drain() throws(FileError) -> [Report] {
        var reports: [Report] = []
        var places: [UInt64: Int] = [:]
        let events = try self.watcher.drain()
        self.startWalks()
        for event in events {
            let id: WatchID
            switch event {
            case .changed(let watch, _, _), .overflowed(let watch), .ended(let watch): id = watch
            }
            guard let key = self.keys.withLock({ $0[id] }) else { continue }
            let place = places[key] ?? reports.count
            if place == reports.count {
                reports.append(Report(key: key))
                places[key] = place
            }
            switch event {
            case .changed(_, let action, let name):
                reports[place].events.append(
                    FileNotifyInformation(
                        action: FileNotifyInformation.Action(rawValue: action.rawValue),
                        name: String(decoding: name, as: UTF16.self)))
            case .overflowed, .ended: reports[place].isOverflow = true
            }
        }
        return reports
    }

    private func startWalks() {
        guard self.watcher.hasWalks else { return }
        _ = self.walks.submit { [watcher = self.watcher] in while watcher.walk() {} }
    }

    fileprivate func end(_ id: WatchID) {
        self.keys.withLock { $0[id] = nil }
        self.watcher.unwatch(id)
    }
}

/// Ends its watch when the open lets it go.
private final class Watch: DirectoryWatch {
    private let watches: Watches
    private let id: WatchID

    init(watches: Watches, id: WatchID) {
        self.watches = watches
        self.id = id
    }

    deinit { self.watches.end(self.id) }
}
