import FileStore
import Glibc
import SMB2Wire
import StateRecords
import Synchronization

/// Makes, removes and lists snapshots, on threads of its own: a large share takes minutes, and no client and no heartbeat
/// waits for it. Follows the schedules of the configuration while the server serves.
///
/// One order at a time is carried out, in the order in which they came; a list does not wait behind them.
final class SnapshotService: @unchecked Sendable {
    /// Orders that wait; more are refused.
    static let queueLimit = 64
    /// Lists that are read at a time; more are refused.
    static let listLimit = 8
    /// After a failure a schedule tries again.
    static let retryMilliseconds: UInt64 = 60_000
    /// How often schedules are looked at.
    static let lookMilliseconds = 1000
    /// More than what an earlier life left must have of age (`FileStoreLimits`).
    static let cleansAgainMilliseconds: UInt64 = 900_000
    /// A second has one snapshot: another one waits for the next, so often.
    private static let tokenAttempts = 3

    private struct Order {
        var order: SnapshotOrder
        var share: String
        var volume: Volume
        var done: @Sendable (SnapshotOutcome) -> Void
    }

    private let signal = Signal()
    // Guarded by the signal's lock.
    private var volumes: [String: (name: String, volume: Volume)] = [:]
    private var schedules: [SnapshotSchedule] = []
    private var queue: [Order] = []
    /// Shares that may have something unfinished from an earlier life.
    private var unclean: [String] = []
    private var cleanedOnce: Set<String> = []
    /// In the order of their times, which all are as long from now.
    private var cleansAgain: [(share: String, at: UInt64)] = []
    /// The share of which something is being made or removed.
    private var underWay: String?
    private var isHeld = false
    private var lists = 0
    /// By share: when a schedule that failed is looked at again. Milliseconds of `Clock`.
    private var notBefore: [String: UInt64] = [:]
    private let isCancelled = Atomic(false)

    init() { Thread.start("smb-snapshot") { [self] in self.run() } }

    // MARK: From other threads

    func configure(_ volumes: [String: Volume], _ schedules: [SnapshotSchedule]) {
        self.signal.withLock {
            let before = self.volumes
            self.volumes = [:]
            for (name, volume) in volumes { self.volumes[name.lowercased()] = (name, volume) }
            self.schedules = schedules
            self.notBefore = [:]
            self.unclean += self.volumes.keys.filter { before[$0] == nil }
            self.signal.wake()
        }
    }

    /// The file system is about to go, or gone: what runs ends soon, what waits is refused, nothing is begun.
    func hold() {
        let refused = self.signal.withLock {
            self.isHeld = true
            self.isCancelled.store(true, ordering: .releasing)
            defer { self.queue = [] }
            return self.queue
        }
        for order in refused { order.done(.failed(Self.moving)) }
    }

    func resume() {
        self.signal.withLock {
            self.isHeld = false
            self.signal.wake()
        }
    }

    private static let moving = "the share is moving to another node: look with 'snapshot list' whether it was done"

    /// - Parameter done: called once, from any thread.
    func carryOut(_ order: SnapshotOrder, done: @escaping @Sendable (SnapshotOutcome) -> Void) {
        switch order {
        case .list(let share): self.startList(share, done)
        case .cancel(let share): done(self.cancel(share))
        case .create(let share), .delete(let share, _):
            let problem: String? = self.signal.withLock {
                guard let found = self.volumes[share.lowercased()] else { return Self.unknown(share) }
                guard !self.isHeld else { return Self.moving }
                guard self.queue.count < Self.queueLimit else {
                    return "\(Self.queueLimit) orders for snapshots wait already: try again when some are done"
                }
                self.queue.append(Order(order: order, share: found.name, volume: found.volume, done: done))
                self.signal.wake()
                return nil
            }
            if let problem { done(.failed(problem)) }
        }
    }

    private static func unknown(_ share: String) -> String { "there is no share \(share)" }

    private func cancel(_ share: String) -> SnapshotOutcome {
        let key = share.lowercased()
        let (waiting, runs) = self.signal.withLock {
            let waiting = self.queue.filter { $0.share.lowercased() == key }
            self.queue.removeAll { $0.share.lowercased() == key }
            let runs = self.underWay == key
            if runs { self.isCancelled.store(true, ordering: .releasing) }
            return (waiting, runs)
        }
        for order in waiting { order.done(.failed("cancelled before it began")) }
        guard runs || !waiting.isEmpty else { return .failed("nothing is being made or removed of share \(share)") }
        return .done("cancelled")
    }

    private func startList(_ share: String, _ done: @escaping @Sendable (SnapshotOutcome) -> Void) {
        let (found, problem): ([(name: String, volume: Volume)], String?) = self.signal.withLock {
            guard self.lists < Self.listLimit else { return ([], "too many lists are read at the moment: try again") }
            let found = share.isEmpty ? Array(self.volumes.values) : self.volumes[share.lowercased()].map { [$0] } ?? []
            guard share.isEmpty || !found.isEmpty else { return ([], Self.unknown(share)) }
            self.lists += 1
            return (found.sorted { $0.name < $1.name }, nil)
        }
        if let problem { return done(.failed(problem)) }
        Thread.start("smb-snapshot-ls") { [self] in
            done(Self.list(found))
            self.signal.withLock { self.lists -= 1 }
        }
    }

    private static func list(_ shares: [(name: String, volume: Volume)]) -> SnapshotOutcome {
        var all: [SnapshotRecord] = []
        do throws(FileError) {
            for (name, volume) in shares {
                all += try volume.snapshots().map {
                    SnapshotRecord(share: name, token: $0.token.text, isScheduled: $0.isScheduled)
                }
            }
            return .list(all)
        } catch { return .failed(Self.explain(error)) }
    }

    // MARK: The thread

    private enum Task {
        case order(Order)
        case clean(Volume, share: String)
        case look([(schedule: SnapshotSchedule, volume: Volume)])
    }

    private func run() {
        // Clients first: the niceness of a thread is its own on Linux.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        while true {
            switch self.next() {
            case .order(let order): order.done(self.perform(order))
            case .clean(let volume, let share): self.clean(volume, share: share)
            case .look(let schedules): for (schedule, volume) in schedules { self.follow(schedule, volume) }
            }
        }
    }

    /// What an earlier life left. One that cannot be removed does not keep the others. Once more later: right after a crash all of it is
    /// so young that it may be somebody's who is at work.
    private func clean(_ volume: Volume, share: String) {
        self.clean(share, "snapshots") { (isCancelled) throws(FileError) in
            try volume.removeUnfinishedSnapshots(isCancelled: isCancelled)
            return 0
        }
        // Before the streams: with such a link a file may go.
        self.clean(share, "links") { (isCancelled) throws(FileError) in
            try volume.sweepReplacingLinks(isCancelled: isCancelled)
        }
        self.clean(share, "streams") { (isCancelled) throws(FileError) in
            try volume.sweepLargeStreams(isCancelled: isCancelled)
        }
        self.clean(share, "folders") { (isCancelled) throws(FileError) in
            try volume.sweepMarkedFolders(isCancelled: isCancelled)
        }
        let key = share.lowercased()
        self.signal.withLock {
            // The share moves away in the middle of it.
            if self.isHeld, self.isCancelled.load(ordering: .acquiring) {
                self.unclean.append(key)
            } else if self.cleanedOnce.insert(key).inserted {
                self.cleansAgain.append((key, Clock.milliseconds + Self.cleansAgainMilliseconds))
            }
        }
    }

    private func clean(_ share: String, _ what: String, _ sweep: (() -> Bool) throws(FileError) -> Int) {
        do throws(FileError) {
            let swept = try sweep { self.isCancelled.load(ordering: .acquiring) }
            if swept > 0 { Log.write("share \(share): \(swept) \(what) that an earlier life left were removed") }
        } catch  where self.isCancelled.load(ordering: .acquiring) {
            // Asked for.
        } catch { Log.write("share \(share): \(what) that an earlier life left could not be removed: \(error)") }
    }

    private func next() -> Task {
        self.signal.withLock {
            self.underWay = nil
            while true {
                if !self.isHeld {
                    if let task = self.taskAtHand() { return task }
                    let due = self.dueSchedules()
                    if !due.isEmpty { return .look(due) }
                }
                self.signal.wait(milliseconds: Self.lookMilliseconds)
            }
        }
    }

    /// Within the signal's lock.
    private func taskAtHand() -> Task? {
        while let first = self.cleansAgain.first, Clock.milliseconds >= first.at {
            self.unclean.append(first.share)
            self.cleansAgain.removeFirst()
        }
        if let share = self.unclean.popLast() {
            guard let found = self.volumes[share] else { return nil }
            self.begin(share)
            return .clean(found.volume, share: found.name)
        }
        guard !self.queue.isEmpty else { return nil }
        let order = self.queue.removeFirst()
        self.begin(order.share)
        return .order(order)
    }

    private func begin(_ share: String) {
        self.underWay = share.lowercased()
        self.isCancelled.store(false, ordering: .releasing)
    }

    /// Within the signal's lock. Each is asked for again at the end of its period, or some time after a failure.
    private func dueSchedules() -> [(schedule: SnapshotSchedule, volume: Volume)] {
        let now = Clock.milliseconds
        return self.schedules.compactMap { schedule in
            let key = schedule.share.lowercased()
            guard now >= self.notBefore[key] ?? 0, let found = self.volumes[key] else { return nil }
            return (schedule, found.volume)
        }
    }

    /// Carries out what a schedule asks for now.
    private func follow(_ schedule: SnapshotSchedule, _ volume: Volume) {
        let period = Int64(schedule.everySeconds)
        let now = Clock.wall.unix.seconds
        let key = schedule.share.lowercased()
        var hasFailed = false
        do throws(FileError) {
            let made = try volume.snapshots().filter(\.isScheduled).map(\.token)
            if made.last.map({ $0.unixSeconds / period < now / period }) ?? true {
                guard self.mayBegin(key) else { return }
                let (token, summary) = try self.make(volume, isScheduled: true)
                Log.write("share \(schedule.share): snapshot \(token.text) by schedule, \(Self.text(summary))")
            }
            let kept = try volume.snapshots().filter(\.isScheduled).map(\.token)
            for token in kept.dropLast(Int(schedule.keep)) {
                guard self.mayBegin(key) else { return }
                try volume.removeSnapshot(token) { self.isCancelled.load(ordering: .acquiring) }
            }
        } catch {
            hasFailed = true
            if error.status != .cancelled {
                Log.write(
                    "share \(schedule.share): the scheduled snapshot is not made: \(Self.explain(error)) (\(error))")
            }
        }
        // At the end of the period.
        let pause =
            hasFailed ? Self.retryMilliseconds : UInt64(max(1, period - Clock.wall.unix.seconds % period)) * 1000
        let again = Clock.milliseconds + pause
        self.signal.withLock { self.notBefore[key] = again }
    }

    private func mayBegin(_ key: String) -> Bool {
        self.signal.withLock {
            guard !self.isHeld else { return false }
            self.begin(key)
            return true
        }
    }

    private func make(
        _ volume: Volume, isScheduled: Bool
    ) throws(FileError) -> (SnapshotToken, SnapshotSummary) {
        var attempt = 1
        while true {
            guard let token = SnapshotToken(Clock.wall) else { throw FileError(.invalidParameter, "the clock's year") }
            do throws(FileError) {
                let summary = try volume.makeSnapshot(token, isScheduled: isScheduled) {
                    self.isCancelled.load(ordering: .acquiring)
                }
                return (token, summary)
            } catch {
                guard error.status == .objectNameCollision, attempt < Self.tokenAttempts else { throw error }
                attempt += 1
                sleep(1)
            }
        }
    }

    private func perform(_ order: Order) -> SnapshotOutcome {
        do throws(FileError) {
            switch order.order {
            case .create:
                let (token, summary) = try self.make(order.volume, isScheduled: false)
                return .done("\(token.text) of share \(order.share): \(Self.text(summary))")
            case .delete(_, let text):
                guard let token = SnapshotToken(text) else {
                    return .failed(
                        "\(text) is no token: they look like @GMT-2026.11.24-19.30.00, 'snapshot list' shows them")
                }
                try order.volume.removeSnapshot(token) { self.isCancelled.load(ordering: .acquiring) }
                return .done("\(token.text) of share \(order.share) is deleted")
            case .list, .cancel: preconditionFailure("never queued")
            }
        } catch { return .failed(Self.explain(error)) }
    }

    static func text(_ summary: SnapshotSummary) -> String {
        let left = summary.leftOut == 0 ? "" : ", \(summary.leftOut) special files left out"
        return "\(summary.files) files in \(summary.directories) folders\(left)"
    }

    /// What an administrator can do about it.
    static func explain(_ error: FileError) -> String {
        switch error.status {
        case .notSupported: "the share's file system cannot share blocks between files: XFS made with reflink=1 can"
        case .diskFull, .quotaExceeded:
            "no space is left on the file system, nothing was made: delete files or older snapshots"
        case .insufficientResources:
            "the share has \(SnapshotLimits.perShare) snapshots, or more folders than a snapshot can have: delete some"
        case .objectNameCollision: "there is a snapshot of this second: try again"
        case .objectNameNotFound: "there is no such snapshot: 'snapshot list' shows those that there are"
        case .sharingViolation: "another snapshot of the share is being made or removed: try again"
        case .cancelled: "cancelled; nothing is left of it, or what is left is removed later"
        default: "\(error)"
        }
    }
}
