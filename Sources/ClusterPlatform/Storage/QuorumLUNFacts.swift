import Fencing

/// What was found out about a quorum disk's LUN, by asking alone: others vote with it meanwhile.
package struct QuorumLUNFacts: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        /// The quorum disk that the cluster knows, or, asked about a LUN without a cluster, any.
        case quorumDisk
        case anotherQuorumDisk
        case noQuorumDisk
    }

    package var content: Content
    package var byteCount: UInt64
    /// What the disk's areas take.
    package var neededByteCount: UInt64
    /// Whoever reserved the LUN: nobody may.
    package var reservation: Reservation?
    package var flushes: Bool
    /// Of one read of a header.
    package var answer: Duration

    /// An operation that takes longer has an unknown outcome for a voter; half of it is no room any more.
    static let slowAnswer: Duration = .seconds(1)

    package init(
        content: Content, byteCount: UInt64, neededByteCount: UInt64, reservation: Reservation?, flushes: Bool,
        answer: Duration
    ) {
        self.content = content
        self.byteCount = byteCount
        self.neededByteCount = neededByteCount
        self.reservation = reservation
        self.flushes = flushes
        self.answer = answer
    }

    package var findings: [TargetFacts.Finding] {
        typealias Finding = TargetFacts.Finding
        var findings: [Finding] = []
        switch self.content {
        case .quorumDisk: findings.append(Finding(.good, "is a quorum disk: only asked, because nodes vote with it"))
        case .anotherQuorumDisk:
            findings.append(Finding(.unusable, "is the quorum disk of another cluster, or was laid out anew"))
        case .noQuorumDisk:
            findings.append(Finding(.unusable, "is no quorum disk: it was wiped, or the address leads to another LUN"))
        }
        if self.byteCount < self.neededByteCount {
            findings.append(
                Finding(
                    .unusable,
                    "has \(self.byteCount >> 20) MiB of the \(self.neededByteCount >> 20) MiB that its areas take"))
        }
        if let reservation = self.reservation {
            findings.append(
                Finding(
                    .unusable,
                    "is reserved (key \(keyText(reservation.key))): nobody may reserve it, all nodes write to it"))
        } else {
            findings.append(Finding(.good, "is reserved by nobody"))
        }
        findings.append(
            self.flushes
                ? Finding(.good, "writes its cache out when told to")
                : Finding(.unusable, "refuses SYNCHRONIZE CACHE: a vote may be lost with the target's power"))
        if self.answer > Self.slowAnswer {
            findings.append(
                Finding(
                    .note,
                    "takes \(self.answer.wholeMilliseconds) ms for one read; after 2 s a voter gives an operation up"))
        }
        return findings
    }
}
