import Raft

/// The invariants, and what has to be remembered to check them at every step. The first violation stays.
struct Checker {
    private(set) var violation: String?

    private var leaders: [Term: NodeID] = [:]
    private struct Ballot: Hashable {
        var voter: NodeID
        var term: Term
    }
    private var votes: [Ballot: NodeID] = [:]
    private struct Position: Hashable {
        var index: LogIndex
        var term: Term
    }
    private var written: [Position: (fingerprint: UInt64, previousTerm: Term)] = [:]
    private var lastWritten: [NodeID: LogIndex] = [:]
    private var durableTerms: [NodeID: (term: Term, vote: NodeID?)] = [:]

    /// The committed log, from index 1, and the state's hash after each.
    private(set) var committed: [(term: Term, fingerprint: UInt64, committedIn: Term)] = []
    private var stateHashes: [UInt64] = []
    private var tokenOf: [UInt64: LogIndex] = [:]

    /// Client history.
    private(set) var maximumAcknowledged: LogIndex = 0
    private(set) var acknowledgedCount = 0
    private(set) var readCount = 0
    private(set) var leaseSamples = 0
    private(set) var configurationChanges = 0
    private var droppedTokens: Set<UInt64> = []
    private var reads: [UInt64: LogIndex] = [:]
    /// Each proposal is an operation on one of a few locks, drawn from its token.
    private(set) var locks = LockHistory()
    private var lockOperations: [UInt64: (key: Int, index: Int)] = [:]
    /// Who had each lock after which committed entry.
    private var holders: [[(index: LogIndex, holder: UInt64?)]] = Array(repeating: [], count: Self.lockCount)
    private static let lockCount = 4

    init(stateHash: UInt64) { self.stateHashes = [stateHash] }

    var lastCommitted: LogIndex { LogIndex(self.committed.count) }
    var leaderCount: Int { self.leaders.count }

    mutating func fail(_ text: String) {
        if self.violation == nil { self.violation = text }
    }

    // MARK: Elections

    mutating func becameLeader(_ node: RaftNode) {
        if let other = self.leaders[node.term], other != node.id {
            self.fail("election safety: \(other) and \(node.id) both lead term \(node.term)")
        }
        self.leaders[node.term] = node.id
        // Leader completeness: all that was committed in an earlier term is here.
        for (offset, entry) in self.committed.enumerated() where entry.committedIn < node.term {
            let index = LogIndex(offset) + 1
            guard index >= node.firstIndex else { continue }
            if node.term(at: index) != entry.term {
                self.fail(
                    "leader completeness: \(node.id) leads term \(node.term) without \(index) of term \(entry.term)")
                return
            }
        }
    }

    /// Persist before send: what a message promises is on the disk already.
    mutating func sent(_ message: Message, by node: RaftNode, disk: SimulatedDisk.Contents) {
        switch message.body {
        case .preVoteRequest, .preVoteResponse: return
        case .appendAccepted(let index) where disk.term(at: index) != node.term(at: index):
            // What lies before the log's beginning is in the state.
            if index >= node.firstIndex, index > disk.base.index {
                self.fail("durability: \(node.id) acknowledged \(index), which is not on its disk")
            }
        default: break
        }
        if disk.hardState.term < message.term {
            self.fail("durability: \(node.id) spoke in term \(message.term) before it was on its disk")
        }
        if isDisk(message.to), case .append(let append) = message.body {
            for entry in append.entries where entry.index > disk.base.index && disk.term(at: entry.index) != entry.term
            {
                self.fail("durability: \(node.id) gave the disk \(entry.index), which is not on its own disk")
            }
        }
        switch message.body {
        case .voteRequest: self.voted(message.from, for: message.from, in: message.term)
        case .voteResponse(granted: true): self.voted(message.from, for: message.to, in: message.term)
        default: break
        }
    }

    /// A disk votes once a term, whichever node asks.
    mutating func diskVoted(_ vote: DiskVote, for candidate: NodeID) {
        self.voted(vote.disk, for: candidate, in: vote.term)
    }

    private mutating func voted(_ voter: NodeID, for candidate: NodeID, in term: Term) {
        let ballot = Ballot(voter: voter, term: term)
        if let other = self.votes[ballot], other != candidate {
            self.fail("double vote: \(voter) voted for \(other) and \(candidate) in term \(term)")
        }
        self.votes[ballot] = candidate
    }

    // MARK: Logs

    mutating func wrote(_ write: Write, by node: RaftNode) {
        if let hardState = write.hardState {
            if let last = self.durableTerms[node.id],
                hardState.term < last.term
                    || (hardState.term == last.term && last.vote != nil && last.vote != hardState.votedFor)
            {
                self.fail("hard state: \(node.id) went from \(last) to \(hardState)")
            }
            self.durableTerms[node.id] = (hardState.term, hardState.votedFor)
        }
        for entry in write.entries {
            guard let previousTerm = node.term(at: entry.index - 1) else { continue }
            let position = Position(index: entry.index, term: entry.term)
            if let other = self.written[position],
                other.fingerprint != entry.fingerprint || other.previousTerm != previousTerm
            {
                self.fail("log matching: two logs differ at or before \(entry.index) of term \(entry.term)")
            }
            self.written[position] = (entry.fingerprint, previousTerm)
        }
        if let first = write.entries.first {
            if first.index <= self.lastWritten[node.id] ?? 0 { self.checkConfigurationInForce(of: node) }
            self.lastWritten[node.id] = node.lastIndex
        }
        if node.isLeader { self.checkConfigurations(of: node) }
    }

    /// After a truncation: the configuration in force is the last that the log still holds.
    private mutating func checkConfigurationInForce(of node: RaftNode) {
        var index = node.lastIndex
        var configuration = node.base.configuration
        while index >= node.firstIndex {
            if case .configuration(let found) = node.entry(at: index)?.payload {
                configuration = found
                break
            }
            index -= 1
        }
        if configuration != node.configuration {
            self.fail("membership: \(node.id) goes by a configuration that its log does not hold")
        }
    }

    /// A restart may bring back less than was written, never less than was promised; the promises are checked as votes.
    mutating func restarted(_ node: NodeID, hardState: HardState) {
        self.durableTerms[node] = (hardState.term, hardState.votedFor)
    }

    private mutating func checkConfigurations(of node: RaftNode) {
        var index = max(self.lastCommitted + 1, node.firstIndex)
        var uncommitted = 0
        while index <= node.lastIndex {
            if case .configuration = node.entry(at: index)?.payload { uncommitted += 1 }
            index += 1
        }
        if uncommitted > 1 { self.fail("membership: leader \(node.id) has \(uncommitted) changes uncommitted") }
    }

    /// What the node takes for stable is on the disk.
    mutating func synced(_ node: RaftNode, disk: SimulatedDisk.Contents) {
        let index = node.stableIndex
        guard index >= node.firstIndex, index > disk.base.index else { return }
        if disk.term(at: index) != node.term(at: index) {
            self.fail("durability: \(node.id) takes \(index) for stable, which is not on its disk")
        }
    }

    // MARK: Commitment

    mutating func committed(_ node: RaftNode, from previous: LogIndex) {
        var index = max(previous + 1, node.firstIndex)
        while index <= node.commitIndex {
            defer { index += 1 }
            guard let entry = node.entry(at: index) else { return }
            if index <= self.lastCommitted {
                let known = self.committed[Int(index) - 1]
                if known.term != entry.term || known.fingerprint != entry.fingerprint {
                    self.fail(
                        "state machine safety: \(node.id) committed \(index) of term \(entry.term), "
                            + "which was committed with term \(known.term)")
                }
            } else if index == self.lastCommitted + 1 {
                self.extend(entry, committedIn: node.term)
            } else {
                self.fail("commitment: \(node.id) committed \(index) before \(self.lastCommitted + 1) was")
            }
        }
    }

    private mutating func extend(_ entry: Entry, committedIn term: Term) {
        self.committed.append((entry.term, entry.fingerprint, term))
        self.stateHashes.append(chain(self.stateHashes[self.stateHashes.count - 1], entry))
        switch entry.payload {
        case .command(let bytes):
            let token = token(of: bytes)
            if self.droppedTokens.contains(token) {
                self.fail("client: proposal \(token) was reported as dropped and is committed at \(entry.index)")
            }
            if let other = self.tokenOf[token] {
                self.fail("client: proposal \(token) is committed at \(other) and \(entry.index)")
            }
            self.tokenOf[token] = entry.index
            let (key, input) = Self.operation(of: token)
            let holder = LockModel.apply(input, to: self.holders[key].last?.holder).state
            self.holders[key].append((entry.index, holder))
        case .configuration: self.configurationChanges += 1
        case .empty: break
        }
    }

    mutating func applied(_ index: LogIndex, stateHash: UInt64, by node: NodeID) {
        guard index <= self.lastCommitted else {
            return self.fail("state machine safety: \(node) applied \(index), which is not committed")
        }
        if self.stateHashes[Int(index)] != stateHash {
            self.fail("state machine safety: the state of \(node) at \(index) differs")
        }
    }

    // MARK: Clients

    private static func operation(of token: UInt64) -> (key: Int, input: LockModel.Input) {
        let number = token / UInt64(Self.lockCount)
        return (Int(token % UInt64(Self.lockCount)), number % 3 == 0 ? .clear : .acquire(token))
    }

    mutating func proposed(_ token: UInt64, at time: UInt64) {
        let (key, input) = Self.operation(of: token)
        self.lockOperations[token] = (key, self.locks.begins(input, key: key, at: time))
    }

    /// With the state as of that entry.
    private mutating func answered(_ token: UInt64, at index: LogIndex, _ time: UInt64) {
        guard let operation = self.lockOperations.removeValue(forKey: token) else { return }
        let holder = self.holders[operation.key].last { $0.index <= index }?.holder
        self.locks.answered(operation.key, operation.index, holder, at: time)
    }

    /// Whether what clients were told has an explanation.
    mutating func checkLocks() {
        if let violation = self.locks.violation() { self.fail(violation) }
    }

    mutating func resolved(_ result: ProposalResult, isChange: Bool, at time: UInt64) {
        switch result.outcome {
        case .committed(let index):
            self.acknowledgedCount += 1
            self.maximumAcknowledged = max(self.maximumAcknowledged, index)
            if !isChange { self.answered(result.token, at: index, time) }
            if !isChange, self.tokenOf[result.token] != index {
                self.fail("client: proposal \(result.token) was acknowledged at \(index) and is not there")
            }
        case .dropped(.unknown): break
        case .dropped(let reason):
            if let operation = self.lockOperations.removeValue(forKey: result.token) {
                self.locks.refused(operation.key, operation.index)
            }
            self.droppedTokens.insert(result.token)
            if let index = self.tokenOf[result.token] {
                self.fail("client: proposal \(result.token), committed at \(index), was dropped as \(reason)")
            }
        }
    }

    mutating func readStarted(_ token: UInt64, at time: UInt64) {
        self.reads[token] = self.maximumAcknowledged
        let key = Self.operation(of: token).key
        self.lockOperations[token] = (key, self.locks.begins(.read, key: key, at: time))
    }

    mutating func resolved(_ result: ReadResult, at time: UInt64) {
        guard let least = self.reads.removeValue(forKey: result.token) else { return }
        guard case .ready(let index) = result.outcome else { return }
        self.answered(result.token, at: index, time)
        self.readCount += 1
        if index < least { self.fail("read: ReadIndex gave \(index), though \(least) was acknowledged before") }
    }

    /// At any moment: who may answer reads from its own state because its lease stands. Called for each that does.
    mutating func holdsLease(
        _ node: NodeID, _ term: Term, isEstablished: Bool, commitIndex: LogIndex, beside other: (NodeID, Term)?
    ) {
        if let (otherNode, otherTerm) = other {
            return self.fail("lease: \([otherNode, node]) hold it at once, in terms \([otherTerm, term])")
        }
        self.leaseSamples += 1
        if isEstablished, commitIndex < self.maximumAcknowledged {
            self.fail(
                "lease: \(node) holds it with commit index \(commitIndex), "
                    + "though \(self.maximumAcknowledged) was acknowledged")
        }
    }
}

let tokenByteCount = 8

/// A proposal carries its token in its first eight bytes.
func token(of bytes: [UInt8]) -> UInt64 {
    bytes.prefix(tokenByteCount).enumerated().reduce(0) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
}

func payload(token: UInt64, padding: Int) -> [UInt8] {
    (0..<tokenByteCount).map { UInt8(truncatingIfNeeded: token >> (8 * UInt64($0))) }
        + [UInt8](repeating: 0, count: padding)
}

/// What stands for a state with that token: all of it follows from the token, so that none is made of two.
func statePayload(token: UInt64, byteCount: Int) -> [UInt8] {
    payload(token: token, padding: 0)
        + (tokenByteCount..<byteCount).map {
            UInt8(truncatingIfNeeded: ((token ^ UInt64($0)) &* 0x9E37_79B9_7F4A_7C15) >> 56)
        }
}

func isStatePayload(_ bytes: [UInt8]) -> Bool {
    bytes.count >= tokenByteCount && bytes == statePayload(token: token(of: bytes), byteCount: bytes.count)
}
