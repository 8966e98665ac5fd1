import Raft

/// The store's thread: takes whatever waits, writes it in one transaction (group commit: one fsync for all), and says so.
/// The first failure poisons it for good: what the disk holds after a failed fsync is unknown, and a later fsync that
/// "succeeds" proves nothing.
package final class ClusterStore: Sendable {
    package enum Outcome: Sendable {
        /// Every Raft write up to this sequence is on stable storage.
        case persisted(sequence: UInt64)
        /// The identity with that start's number is.
        case identityStored(incarnation: UInt64)
        case failed(StoreError)
    }

    private enum Order: Sendable {
        case job(StoreJob)
        case stop
    }

    private let orders = Mailbox<Order>()
    private let report: @Sendable (Outcome) -> Void

    /// Jobs in one transaction: bounds what a crash must replay and how long one commit takes.
    package static let jobsPerTransaction = 1024

    /// `report` is called on the store's thread.
    package init(_ database: consuming StateDatabase, report: @escaping @Sendable (Outcome) -> Void) {
        self.report = report
        let owner = DatabaseOwner(database)
        startThread("store") { self.run(owner) }
    }

    package func submit(_ job: StoreJob) { self.orders.post(.job(job)) }

    /// After all that was submitted.
    package func stop() { self.orders.post(.stop) }

    private func run(_ owner: DatabaseOwner) {
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
                    self.report(.failed(error))
                    return
                }
                for case .identity(let identity) in batch {
                    self.report(.identityStored(incarnation: identity.incarnation))
                }
                if let last = batch.compactMap(\.sequence).last { self.report(.persisted(sequence: last)) }
            }
            if stops { return }
        }
    }
}

extension StoreJob {
    fileprivate var sequence: UInt64? {
        switch self {
        case .write(let write, _): write.sequence
        case .identity, .found, .quorumMemory: nil
        }
    }
}

/// Carries the database to its thread, the only one that touches it.
private final class DatabaseOwner: @unchecked Sendable {
    let database: StateDatabase
    init(_ database: consuming StateDatabase) { self.database = database }
}
