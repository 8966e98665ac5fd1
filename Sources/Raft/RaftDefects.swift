/// Safeguards that the simulator's mutation tests switch off, to prove that it would notice. Empty everywhere else.
package struct RaftDefects: OptionSet, Equatable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A vote leaves before it is on stable storage.
    package static let voteWithoutPersisting = Self(rawValue: 1 << 0)
    /// A leader commits entries of earlier terms by counting replicas (Raft's figure 8).
    package static let commitOldTermByCounting = Self(rawValue: 1 << 1)
    /// Votes do not compare logs.
    package static let skipLogUpToDateCheck = Self(rawValue: 1 << 2)
    /// A configuration change is taken before the leader's own-term no-op is committed.
    package static let changeBeforeOwnTermCommit = Self(rawValue: 1 << 3)
    /// An append is acknowledged before it is on stable storage.
    package static let acknowledgeWithoutPersisting = Self(rawValue: 1 << 4)
    /// A configuration change is taken while another is not committed.
    package static let concurrentChanges = Self(rawValue: 1 << 5)
    /// A truncated configuration entry stays in force.
    package static let keepTruncatedConfiguration = Self(rawValue: 1 << 6)
    /// Votes are given although a leader was heard of just now.
    package static let voteWithinLease = Self(rawValue: 1 << 7)
    /// A restarted node votes at once, though it may have acknowledged a heartbeat just before.
    package static let voteRightAfterRestart = Self(rawValue: 1 << 8)
    /// The lease counts from the arrival of the answer instead of from the sending of the heartbeat.
    package static let leaseFromAnswer = Self(rawValue: 1 << 9)
    /// `persisted` ignores that the write's entries were replaced since (the ABA race).
    package static let trustStaleWrites = Self(rawValue: 1 << 10)
    /// Appends are taken without looking at the entry before them.
    package static let skipPreviousCheck = Self(rawValue: 1 << 11)
    /// The lease goes on after `timeoutNow` was sent.
    package static let leaseDuringTransfer = Self(rawValue: 1 << 12)
    /// Entries go to the quorum disk before they are on this node's own stable storage.
    package static let diskBeforeLocal = Self(rawValue: 1 << 13)
    /// ReadIndex answers without asking anybody whether this node still leads.
    package static let readWithoutQuorum = Self(rawValue: 1 << 15)
    /// The disk's vote counts although the log that came with it is not adopted.
    package static let voteWithoutAdopting = Self(rawValue: 1 << 14)
}
