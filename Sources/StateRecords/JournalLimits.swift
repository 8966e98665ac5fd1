/// What a clustered server and `clusterd` have to agree on about the server's journal.
package enum JournalLimits {
    /// Of one batch, encoded; a single mutation that is longer goes alone. A batch is one entry of the Raft log, which
    /// takes eight times that, and no record comes near it: what is longest in one are the locks, of which a file has
    /// 16,384.
    package static let batchByteCount = 1 << 20
    /// Of the batches that a server has said and that were not answered. `clusterd` lets twice as much wait, and gives
    /// a server up that says more.
    package static let unansweredByteCount = 32 << 20
}
