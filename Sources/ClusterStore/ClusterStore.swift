import Glibc
import Raft
import StateRecords

/// The store's thread: takes whatever waits, writes it in one transaction (group commit: one fsync for all), and says so.
/// The first failure poisons it for good: what the disk holds after a failed fsync is unknown, and a later fsync that
/// "succeeds" proves nothing.
package final class ClusterStore: Sendable {
    package enum Outcome: Sendable {
        /// Every Raft write up to this sequence is on stable storage.
        case persisted(sequence: UInt64)
        /// The identity with that start's number is.
        case identityStored(incarnation: UInt64)
        /// The next start takes nothing of what is stored.
        case lossNoted
        /// What is stored is damaged; what is written next may still be good. Why, for people.
        case damaged(String)
        case failed(StoreError)
    }

    private enum Order: Sendable {
        case job(StoreJob)
        case stop
    }

    private let orders = Mailbox<Order>()
    private let report: @Sendable (Outcome) -> Void
    private let folder: StateFolder
    private let ended = Mailbox<Void>()

    /// Jobs in one transaction: bounds what a crash must replay and how long one commit takes.
    package static let jobsPerTransaction = 1024

    /// What a node found of its earlier life, and the store that goes on from there.
    package struct Opened: Sendable {
        package let store: ClusterStore
        package let contents: StoredContents
        /// Nothing of the contents could be used: who the node was, and in `lost` why.
        package let lost: NodeFile?
    }

    /// `report` is called on threads of the store. `newest`: a state of a later version of the cluster is refused.
    package static func open(
        _ folder: StateFolder, newest: ClusterVersion = .newest, report: @escaping @Sendable (Outcome) -> Void
    ) throws(StoreError) -> Opened {
        let start = try folder.open(newest: newest)
        let (contents, lost) = (start.contents, start.lost)
        let store = ClusterStore(start.database, folder: folder, lost: lost, contents: contents, report: report)
        return Opened(store: store, contents: contents, lost: lost)
    }

    init(
        _ database: consuming StateDatabase, folder: StateFolder, lost: NodeFile? = nil, contents: StoredContents,
        report: @escaping @Sendable (Outcome) -> Void
    ) {
        self.report = report
        self.folder = folder
        let owner = DatabaseOwner(database)
        let known =
            lost
            ?? contents.identity.map {
                NodeFile(identity: $0, term: contents.hardState.term, votedFor: contents.hardState.votedFor)
            }
        startThread("store") {
            self.run(owner, known)
            self.ended.post(())
        }
    }

    /// Looks every now and then at all that is stored: what nobody reads would otherwise be found damaged when it is needed.
    package func watch(every seconds: UInt32) {
        startThread("store-watch") { [folder, report] in
            while true {
                sleep(seconds)
                do throws(StoreError) {
                    try StateDatabase.verify(path: folder.database)
                } catch {
                    // Anything else the writer finds out for itself.
                    guard let damage = error.damage else { continue }
                    return report(.damaged(damage))
                }
            }
        }
    }

    package func submit(_ job: StoreJob) { self.orders.post(.job(job)) }

    /// After all that was submitted.
    package func stop() { self.orders.post(.stop) }

    /// As ``stop()``, and returns when nothing is written any more.
    package func stopAndWait(milliseconds: Int32) {
        self.stop()
        self.ended.wait(milliseconds: milliseconds)
    }

    private func run(_ owner: DatabaseOwner, _ known: NodeFile?) {
        var known = known
        while true {
            self.orders.wait(milliseconds: -1)
            var jobs: [StoreJob] = []
            var stops = false
            for order in self.orders.drain() {
                switch order {
                case .job(let job): jobs.append(job)
                case .stop: stops = true
                }
            }
            var rest = jobs[...]
            while !rest.isEmpty {
                let batch = Array(rest.prefix(Self.jobsPerTransaction))
                rest = rest.dropFirst(Self.jobsPerTransaction)
                do throws(StoreError) {
                    try owner.database.commit(batch)
                } catch {
                    // A start might read it without noticing, and end at the same write again.
                    if let damage = error.damage {
                        known?.lost = damage
                        try? known?.write(to: self.folder.nodeFile)
                    }
                    self.report(.failed(error))
                    return
                }
                do throws(StoreError) {
                    try self.noteIdentities(batch, &known)
                    if let last = batch.compactMap(\.sequence).last { self.report(.persisted(sequence: last)) }
                    try self.notePromises(batch, &known)
                } catch {
                    self.report(.failed(error))
                    return
                }
            }
            if stops { return }
        }
    }
}

extension ClusterStore {
    /// What concerns `node.identity` and somebody waits for.
    private func noteIdentities(_ batch: [StoreJob], _ known: inout NodeFile?) throws(StoreError) {
        for job in batch {
            switch job {
            case .identity(let identity):
                var file = NodeFile(identity: identity)
                if let known, known.identity.id == identity.id {
                    (file.term, file.votedFor, file.lost) = (known.term, known.votedFor, known.lost)
                }
                if file != known { try file.write(to: self.folder.nodeFile) }
                known = file
                self.report(.identityStored(incarnation: identity.incarnation))
            case .lost(let reason):
                known?.lost = reason
                try known?.write(to: self.folder.nodeFile)
                self.report(.lossNoted)
            case .write, .found, .quorumMemory: break
            }
        }
    }

    /// Elections are rare. The database has the promise already, and nobody waits for this: it is for the day on which the
    /// database has it no more.
    private func notePromises(_ batch: [StoreJob], _ known: inout NodeFile?) throws(StoreError) {
        guard var file = known else { return }
        for case .write(let write, _) in batch {
            guard let state = write.hardState else { continue }
            (file.term, file.votedFor) = (state.term, state.votedFor)
        }
        guard file != known else { return }
        try file.write(to: self.folder.nodeFile)
        known = file
    }
}

extension StoreJob {
    fileprivate var sequence: UInt64? {
        switch self {
        case .write(let write, _): write.sequence
        case .identity, .found, .quorumMemory, .lost: nil
        }
    }
}

/// Carries the database to its thread, the only one that touches it.
private final class DatabaseOwner: @unchecked Sendable {
    let database: StateDatabase
    init(_ database: consuming StateDatabase) { self.database = database }
}
