import StateRecords

/// Where state goes that must outlive this process: a file here, or the cluster's log. Batches become stable in the order of
/// their tickets.
protocol Journal: AnyObject, Sendable {
    /// Takes a batch; called under the state's lock, so it only queues. Returns its ticket. `isFlushed`: the caller calls
    /// ``flush()`` soon, on this thread.
    func append(_ mutations: [Mutation], isAwaited: Bool, isFlushed: Bool) -> UInt64
    /// What was appended goes on its way now, all of it together. Does not block.
    func flush()
    /// Returns when all that was appended is stable, or never will be.
    func drain()
}

/// What a journal reports.
protocol JournalObserver: AnyObject, Sendable {
    /// All batches up to this ticket are on stable storage.
    func journaled(upTo ticket: UInt64)
    /// Nothing more can be made stable: whatever waits must never be answered.
    func journalFailed(_ reason: String)
}
