import CLinux
import Glibc
import SMB2Wire
import Synchronization

/// What a file's extended attributes and its handle say, kept for as long as its inode does not change: an open, a query and a
/// close of an unchanged file then cost one statx each. Every change of an attribute, by whomever, moves the inode's time of
/// change (statx, which is asked each time), and a number that is used again has another time of birth.
///
/// The kernel's clock for these times has a tick: an attribute may change twice within one, and look unchanged. What changed
/// so recently is therefore not kept, as in git's index.
final class AttributeCache: Sendable {
    struct Facts: Sendable {
        var dos: DOSAttributes?
        var identity: FileIdentity?
        /// [MS-FSCC] 2.4.12.
        var extendedAttributeSize: UInt32?
        var security: KnownSecurity?
    }

    private struct Stamp: Equatable, Sendable {
        var changeSeconds: Int64
        var changeNanoseconds: UInt32
        var birthSeconds: Int64
        var birthNanoseconds: UInt32

        init(_ status: borrowing FileStatus) {
            self.changeSeconds = status.raw.ctime.seconds
            self.changeNanoseconds = status.raw.ctime.nanoseconds
            self.birthSeconds = status.raw.btime.seconds
            self.birthNanoseconds = status.raw.btime.nanoseconds
        }
    }

    private struct Entry: Sendable {
        var stamp: Stamp
        var facts: Facts
    }

    /// Two generations: when the young one is full it becomes the old one, and what was not asked for since is forgotten.
    private struct Entries: Sendable {
        var young: [UInt64: Entry] = [:]
        var old: [UInt64: Entry] = [:]

        mutating func insert(_ entry: Entry, for inode: UInt64) {
            if self.young.count >= FileStoreLimits.cachedAttributes / 2, self.young[inode] == nil {
                self.old = self.young
                self.young = [:]
            }
            self.young[inode] = entry
        }

        mutating func find(_ inode: UInt64) -> Entry? {
            if let entry = self.young[inode] { return entry }
            guard let entry = self.old.removeValue(forKey: inode) else { return nil }
            self.insert(entry, for: inode)
            return entry
        }
    }

    private let entries = Mutex(Entries())

    var count: Int { self.entries.withLock { $0.young.count + $0.old.count } }

    /// What is known of the file with this status.
    func facts(_ status: borrowing FileStatus) -> Facts {
        let inode = status.inode
        guard let entry = self.entries.withLock({ $0.find(inode) }), entry.stamp == Stamp(status) else {
            return Facts()
        }
        return entry.facts
    }

    /// - Parameter moment: when `facts` began to be read, before which `status` was.
    private func keep(_ facts: Facts, _ status: borrowing FileStatus, readAt moment: Moment) {
        guard moment.isSafelyAfter(status.raw.ctime) else { return }
        let entry = Entry(stamp: Stamp(status), facts: facts)
        let inode = status.inode
        self.entries.withLock { $0.insert(entry, for: inode) }
    }

    /// The DOS attributes and the identity of an open file (O_PATH will do), whose status was just read.
    func attributesAndIdentity(
        of descriptor: borrowing Descriptor, _ status: borrowing FileStatus, filesystem: GUID
    ) throws(FileError) -> (dos: DOSAttributes, identity: FileIdentity) {
        var facts = self.facts(status)
        if let dos = facts.dos, let identity = facts.identity { return (dos, identity) }
        let moment = Moment()
        let dos = facts.dos ?? DOSAttributes.read(descriptor.number)
        let identity: FileIdentity
        if let known = facts.identity {
            identity = known
        } else {
            identity = try FileIdentity(descriptor.number, filesystem: filesystem)
        }
        facts.dos = dos
        facts.identity = identity
        self.keep(facts, status, readAt: moment)
        return (dos, identity)
    }

    func attributes(of descriptor: borrowing Descriptor, _ status: borrowing FileStatus) -> DOSAttributes {
        let number = descriptor.number
        return self.attributes(status) { DOSAttributes.read(number) }
    }

    /// `read`: how the attributes are read where they are not known.
    func attributes(_ status: borrowing FileStatus, read: () -> DOSAttributes) -> DOSAttributes {
        var facts = self.facts(status)
        if let dos = facts.dos { return dos }
        let moment = Moment()
        let dos = read()
        facts.dos = dos
        self.keep(facts, status, readAt: moment)
        return dos
    }

    func security(
        _ status: borrowing FileStatus, read: () throws(FileError) -> KnownSecurity
    ) throws(FileError) -> KnownSecurity {
        var facts = self.facts(status)
        if let security = facts.security { return security }
        let moment = Moment()
        let security = try read()
        if case .descriptor(let own) = security, !own.isKept { return security }
        facts.security = security
        self.keep(facts, status, readAt: moment)
        return security
    }

    func extendedAttributeSize(
        _ status: borrowing FileStatus, read: () throws(FileError) -> UInt32
    ) throws(FileError) -> UInt32 {
        var facts = self.facts(status)
        if let size = facts.extendedAttributeSize { return size }
        let moment = Moment()
        let size = try read()
        facts.extendedAttributeSize = size
        self.keep(facts, status, readAt: moment)
        return size
    }
}

/// A reading of the clock by which the kernel stamps files.
private struct Moment {
    /// More than the longest tick of a Linux kernel (10 ms at 100 Hz).
    private static let tickNanoseconds: Int64 = 25_000_000
    private static let second: Int64 = 1_000_000_000

    private let seconds: Int64
    private let nanoseconds: Int64

    init() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        self.seconds = Int64(now.tv_sec)
        self.nanoseconds = Int64(now.tv_nsec)
    }

    /// Whether what changes from here on gets a later stamp. Never for a stamp that lies ahead: the clock was set back.
    func isSafelyAfter(_ stamp: clinux_time) -> Bool {
        guard self.seconds >= stamp.seconds else { return false }
        guard self.seconds - stamp.seconds < 2 else { return true }
        let elapsed = (self.seconds - stamp.seconds) * Self.second + self.nanoseconds - Int64(stamp.nanoseconds)
        return elapsed > Self.tickNanoseconds
    }
}
