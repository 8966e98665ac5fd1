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
    /// Where its answers come in, for whichever loop has nothing else to do: no thread is woken between the answer and the loop
    /// that waits for it. Nil: they come by themselves, on a thread of the journal.
    var answers: Int32? { get }
    /// On any thread, when something can be read from ``answers``; reports what it is. False: nothing more will come.
    func takeAnswers(for observer: any JournalObserver) -> Bool
}

extension Journal {
    var answers: Int32? { nil }
    func takeAnswers(for observer: any JournalObserver) -> Bool { false }
}

/// What a journal reports.
protocol JournalObserver: AnyObject, Sendable {
    /// All batches up to this ticket are on stable storage.
    func journaled(upTo ticket: UInt64)
    /// Nothing more can be made stable: whatever waits must never be answered.
    func journalFailed(_ reason: String)
}
