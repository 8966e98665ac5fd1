/// What one node says to another. Messages may be lost, doubled, delayed and reordered.
package struct Message: Equatable, Sendable {
    package var from: NodeID
    package var to: NodeID
    /// The sender's term; of a pre-vote request and its grant, the term the sender would campaign in.
    package var term: Term
    package var body: Body

    package init(from: NodeID, to: NodeID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    package enum Body: Equatable, Sendable {
        /// Would you vote for me? Changes nothing at the receiver (Raft's dissertation §9.6).
        case preVoteRequest(lastIndex: LogIndex, lastTerm: Term)
        case preVoteResponse(granted: Bool)
        /// `force`: the leader itself asked for this election (`timeoutNow`), so its lease is no reason to refuse.
        case voteRequest(lastIndex: LogIndex, lastTerm: Term, force: Bool)
        case voteResponse(granted: Bool)
        case append(Append)
        /// Everything up to `matchIndex` is on the sender's stable storage and is the leader's log.
        case appendAccepted(matchIndex: LogIndex)
        /// The entry before the append is not there. The hint is the last position that might agree and its term there.
        case appendRejected(previousIndex: LogIndex, hintIndex: LogIndex, hintTerm: Term)
        /// `commitIndex` never exceeds what the receiver acknowledged.
        case heartbeat(round: UInt64, commitIndex: LogIndex)
        case heartbeatResponse(round: UInt64)
        /// Handed to the receiver's core by its shell once all of the state has arrived beside it.
        case snapshot(Snapshot)
        /// Campaign at once. Void unless `round` is the last heartbeat round that the receiver saw.
        case timeoutNow(round: UInt64)
    }

    package struct Append: Equatable, Sendable {
        package var previousIndex: LogIndex
        package var previousTerm: Term
        /// Ascending without gaps from `previousIndex + 1`.
        package var entries: [Entry]
        package var commitIndex: LogIndex

        package init(previousIndex: LogIndex, previousTerm: Term, entries: [Entry], commitIndex: LogIndex) {
            self.previousIndex = previousIndex
            self.previousTerm = previousTerm
            self.entries = entries
            self.commitIndex = commitIndex
        }

        package var lastIndex: LogIndex { self.previousIndex + LogIndex(self.entries.count) }
    }
}
