import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// Times that were set through a handle stay what they were set to, whatever is done through that handle: [MS-FSA]
/// 2.1.5.15.2. A write through the descriptor changes them underneath; they are put back when somebody looks and when
/// the handle goes. What is written through another handle moves them on for everybody, and they stay there.
final class StickyTimes: Sendable {
    /// What a file shows in place of what its inode says.
    struct Times: Sendable {
        var lastAccess: FileTime?
        var lastWrite: FileTime?
        /// Linux keeps its own and lets nobody set it: what is set here is shown instead.
        var change: FileTime?
        /// Handles that set them.
        var holders = 0
    }

    private let files = Mutex<[UInt64: Times]>([:])
    /// How many they are: a write looks no further where there are none.
    private let fileCount = Atomic(0)

    func of(_ inode: UInt64) -> Times? {
        guard self.fileCount.load(ordering: .acquiring) > 0 else { return nil }
        return self.files.withLock { $0[inode] }
    }

    /// ChangeTimes that were set through handles which are closed now, for as long as the file does not change: until
    /// then its time of change, as Linux keeps it, is the one beside. A server that starts anew shows Linux's.
    private struct Remembered: Sendable {
        var times: [UInt64: (shown: FileTime, kept: FileTime)] = [:]
        /// The oldest first.
        var order: [UInt64] = []
    }

    private let remembered = Mutex(Remembered())

    func remember(_ inode: UInt64, change: FileTime, whileChangedAt kept: FileTime) {
        self.remembered.withLock { remembered in
            if remembered.times.updateValue((change, kept), forKey: inode) == nil { remembered.order.append(inode) }
            guard remembered.order.count > FileStoreLimits.rememberedChangeTimes else { return }
            remembered.times[remembered.order.removeFirst()] = nil
        }
    }

    /// The times as somebody set them, where somebody holds them or nothing changed since.
    func shown(_ information: consuming FileInformation) -> FileInformation {
        let (inode, kept) = (information.fileID, information.changeTime)
        guard let sticky = self.of(inode) else {
            let set = self.remembered.withLock { $0.times[inode] }
            if let set, set.kept == kept { information.changeTime = set.shown }
            return information
        }
        if let time = sticky.lastAccess { information.lastAccessTime = time }
        if let time = sticky.lastWrite { information.lastWriteTime = time }
        if let time = sticky.change { information.changeTime = time }
        return information
    }

    /// By a handle that holds the file's times, or begins to.
    func change(_ inode: UInt64, isNewHolder: Bool, _ body: (inout Times) -> Void) {
        self.files.withLock { files in
            if isNewHolder { files[inode, default: Times()].holders += 1 }
            body(&files[inode, default: Times()])
            self.fileCount.store(files.count, ordering: .releasing)
        }
    }

    /// By any handle; nothing where none holds the file's times.
    func update(_ inode: UInt64, _ body: (inout Times) -> Void) {
        self.files.withLock { files in
            guard var times = files[inode] else { return }
            body(&times)
            files[inode] = times
        }
    }

    func release(_ inode: UInt64) {
        self.files.withLock { files in
            files[inode]?.holders -= 1
            if files[inode]?.holders == 0 { files[inode] = nil }
            self.fileCount.store(files.count, ordering: .releasing)
        }
    }
}

/// What one handle does about the times of its file.
struct HeldTimes: OptionSet, Sendable {
    var rawValue: UInt8
    /// It is among its file's `StickyTimes.Times.holders`.
    static let isHolder = HeldTimes(rawValue: 1)
    /// What is done through it does not change the time of the last write: Open.UserSetModificationTime.
    static let lastWrite = HeldTimes(rawValue: 2)
    /// Open.UserSetChangeTime.
    static let change = HeldTimes(rawValue: 4)
}

extension OpenFile {
    static func isTime(_ time: FileTime) -> Bool {
        time != .unchanged && time != .suppressUpdates && time != .resumeUpdates
    }

    /// [MS-FSA] 2.1.5.15.2: a time that is set, or -1, holds it through this handle; -2 lets it go.
    func setTimes(access: FileTime, write: FileTime, change: FileTime) throws(FileError) {
        // What was held is there before it is let go.
        try self.restoreStickyTimes()
        let status = try FileStatus(self.handle)
        let omit = clinux_time(seconds: 0, nanoseconds: clinux_utime_omit)
        let newAccess = Self.isTime(access) ? access.clinux : omit
        let newWrite = Self.isTime(write) ? write.clinux : omit
        if Self.isTime(access) || Self.isTime(write) {
            try check(clinux_set_times(self.handle.number, newAccess, newWrite), "set the times")
            if status.isDirectory { self.volume.indexes.forget(inode: status.inode) }
        }
        guard access != .unchanged || write != .unchanged || change != .unchanged else { return }
        let isNewHolder = self.holdTimes(write: write, change: change)
        self.volume.stickyTimes.change(self.fileID, isNewHolder: isNewHolder) { sticky in
            sticky.lastAccess = Self.sticky(sticky.lastAccess, access, now: status.accessTime)
            sticky.lastWrite = Self.sticky(sticky.lastWrite, write, now: status.writeTime)
            sticky.change = Self.sticky(sticky.change, change, now: status.changeTime)
        }
    }

    /// True where this is the first time.
    private func holdTimes(write: FileTime, change: FileTime) -> Bool {
        self.heldTimes.withLock { held in
            let isNew = held.insert(.isHolder).inserted
            for (time, bit) in [(write, HeldTimes.lastWrite), (change, .change)] where time != .unchanged {
                if time == .resumeUpdates { held.remove(bit) } else { held.insert(bit) }
            }
            return isNew
        }
    }

    private static func sticky(_ old: FileTime?, _ requested: FileTime, now: FileTime) -> FileTime? {
        switch requested {
        case .unchanged: old
        case .suppressUpdates: old ?? now
        case .resumeUpdates: nil
        default: requested
        }
    }

    /// Before the file's data change through this handle: what it holds of the times stays, all else moves on.
    func willChangeData() throws(FileError) {
        guard let sticky = self.volume.stickyTimes.of(self.fileID) else { return }
        let held = self.heldTimes.withLock { $0 }
        if !held.contains(.lastWrite), !held.contains(.change), sticky.lastWrite == nil, sticky.change == nil { return }
        let status = try FileStatus(self.handle)
        self.volume.stickyTimes.update(self.fileID) { sticky in
            sticky.lastWrite = held.contains(.lastWrite) ? sticky.lastWrite ?? status.writeTime : nil
            sticky.change = held.contains(.change) ? sticky.change ?? status.changeTime : nil
        }
    }

    func restoreStickyTimes() throws(FileError) {
        guard let sticky = self.volume.stickyTimes.of(self.fileID) else { return }
        let status = try FileStatus(self.handle)
        let accessIsRight = sticky.lastAccess == nil || sticky.lastAccess == status.accessTime
        let writeIsRight = sticky.lastWrite == nil || sticky.lastWrite == status.writeTime
        guard !accessIsRight || !writeIsRight else { return }
        let omit = clinux_time(seconds: 0, nanoseconds: clinux_utime_omit)
        try check(
            clinux_set_times(self.handle.number, sticky.lastAccess?.clinux ?? omit, sticky.lastWrite?.clinux ?? omit),
            "put the times back")
    }

    /// The handle goes.
    func letGoOfTimes() {
        guard self.heldTimes.withLock({ $0.contains(.isHolder) }) else { return }
        // Nobody is left to hear of a failure.
        try? self.restoreStickyTimes()
        if let change = self.volume.stickyTimes.of(self.fileID)?.change, let status = try? FileStatus(self.handle) {
            self.volume.stickyTimes.remember(self.fileID, change: change, whileChangedAt: status.changeTime)
        }
        self.volume.stickyTimes.release(self.fileID)
    }
}
