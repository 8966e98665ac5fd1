import CSQLite
import Foundation
import Raft
import Synchronization
import Testing

@testable import ClusterStore

/// SQLITE_IOERR_FSYNC, a macro that Swift does not import.
private let failedSync = SQLITE_IOERR | (4 << 8)

/// SQLite's own way to the disk, whose syncs of files below a folder `failing-sync` fail while they are told to.
private enum FailingSyncs {
    static let areFailing = Atomic<Bool>(false)
    nonisolated(unsafe) static var system: UnsafeMutablePointer<sqlite3_vfs>?
    nonisolated(unsafe) static var methods: [UnsafePointer<sqlite3_io_methods>: UnsafePointer<sqlite3_io_methods>] = [:]
    nonisolated(unsafe) static var sync: (@convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32)?
    private static let lock = Mutex(false)

    /// Becomes the process's default: other folders are treated as ever.
    static func install() {
        self.lock.withLock { isInstalled in
            guard !isInstalled, let system = sqlite3_vfs_find(nil) else { return }
            isInstalled = true
            self.system = system
            let copy = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
            copy.initialize(to: system.pointee)
            copy.pointee.zName = UnsafePointer(strdup("failing-sync"))
            copy.pointee.xOpen = { _, name, file, flags, outFlags in
                let result = FailingSyncs.system?.pointee.xOpen?(FailingSyncs.system, name, file, flags, outFlags)
                if result == SQLITE_OK, let file, let name, String(cString: name).contains("/failing-sync/") {
                    FailingSyncs.wrap(file)
                }
                return result ?? SQLITE_CANTOPEN
            }
            sqlite3_vfs_register(copy, 1)
        }
    }

    private static func wrap(_ file: UnsafeMutablePointer<sqlite3_file>) {
        self.lock.withLock { _ in
            guard let original = file.pointee.pMethods else { return }
            if self.methods[original] == nil {
                let copy = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
                copy.initialize(to: original.pointee)
                // The same for every kind of file.
                self.sync = original.pointee.xSync
                copy.pointee.xSync = { file, flags in
                    guard FailingSyncs.areFailing.load(ordering: .relaxed) else {
                        return FailingSyncs.sync?(file, flags) ?? SQLITE_ERROR
                    }
                    return failedSync
                }
                self.methods[original] = UnsafePointer(copy)
            }
            file.pointee.pMethods = self.methods[original]
        }
    }
}

@Suite struct FailingSyncTests {
    /// The first fsync that fails ends the store for good: the kernel forgets what it could not write, and says at the next
    /// fsync that all is well.
    @Test func theFirstFailedSyncIsTheLastOfAll() throws {
        FailingSyncs.install()
        let folder = TemporaryFolder()
        let path = folder.path + "/failing-sync"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let outcomes = Mailbox<ClusterStore.Outcome>()
        func next(milliseconds: Int32 = 5000) -> [ClusterStore.Outcome] {
            outcomes.wait(milliseconds: milliseconds)
            return outcomes.drain()
        }
        let store = try ClusterStore.open(StateFolder(path: path)) { outcomes.post($0) }.store
        store.submit(.write(Write(sequence: 1, entries: [entry(1, 1)]), state: nil))
        guard case .persisted(1)? = next().first else {
            Issue.record("the first write was not acknowledged")
            return
        }
        FailingSyncs.areFailing.store(true, ordering: .relaxed)
        store.submit(.write(Write(sequence: 2, entries: [entry(2, 1)]), state: nil))
        let said = next()
        FailingSyncs.areFailing.store(false, ordering: .relaxed)
        guard case .failed(.database(let error))? = said.first, said.count == 1 else {
            Issue.record("a failed sync was not reported: \(said)")
            return
        }
        #expect(error.code == failedSync)
        store.submit(.write(Write(sequence: 3, entries: [entry(2, 1)]), state: nil))
        #expect(next(milliseconds: 300).isEmpty)
    }
}
