import SMB2Wire
import Synchronization

// Channel sequences: what a client sent before it lost a channel must not change a file after what it sends over another one.
// [MS-SMB2] 3.3.5.2.10, 3.3.1.10.

/// A WRITE, SET_INFO or IOCTL that was let in and whose effect may still lie ahead: bytes that a loop is about to write, a copy
/// on a thread of its own, a rename that waits for others' caches. Whoever has it to do keeps this; where it goes, the request
/// is done or will never be.
package final class OutstandingRequest: Sendable {
    private let sequence: SequenceCount

    fileprivate init(_ sequence: SequenceCount) {
        self.sequence = sequence
        sequence.value.add(1, ordering: .relaxed)
    }

    deinit { self.sequence.value.subtract(1, ordering: .releasing) }
}

/// How many requests of one sequence are outstanding.
private final class SequenceCount: Sendable {
    let value = Atomic<Int>(0)

    var isZero: Bool { self.value.load(ordering: .acquiring) == 0 }
}

/// Open.OutstandingRequestCount and Open.OutstandingPreRequestCount. Reads and questions are not counted: they change nothing.
struct OutstandingRequests: Sendable {
    private var current: SequenceCount?
    private var earlier: [SequenceCount] = []

    /// A request with the open's sequence.
    mutating func begin() -> OutstandingRequest {
        let sequence = self.current ?? SequenceCount()
        self.current = sequence
        return OutstandingRequest(sequence)
    }

    /// The open's sequence changes.
    mutating func advance() {
        if let current = self.current, !current.isZero { self.earlier.append(current) }
        self.current = nil
    }

    /// Whether something that came with an earlier sequence may still happen.
    mutating func hasEarlier() -> Bool {
        self.earlier.removeAll { $0.isZero }
        return !self.earlier.isEmpty
    }
}

extension ServerState {
    /// [MS-SMB2] 3.3.5.2.10. A request with an older sequence comes from before the client's failover; it must not change
    /// anything any more. One that is repeated must not overtake the one that it repeats.
    mutating func checkChannelSequence(_ request: inout Request, _ key: UInt64, _ open: Open) throws(SMBError) {
        let sequence = request.header.channelSequence
        let changes = request.changesFiles
        if sequence != open.channelSequence {
            guard sequence &- open.channelSequence <= 0x7FFF else {
                guard changes else { return }
                throw SMBError(.fileNotAvailable, "stale channel sequence")
            }
            self.opens[key]?.channelSequence = sequence
            self.opens[key]?.outstanding.advance()
            self.persist(key, awaited: true)
        }
        guard changes else { return }
        if request.header.isReplay, self.opens[key]?.outstanding.hasEarlier() == true {
            throw SMBError(.fileNotAvailable, "requests of earlier channel sequences are outstanding")
        }
        request.outstanding = self.opens[key]?.outstanding.begin()
    }
}

extension Request {
    fileprivate var changesFiles: Bool {
        switch self.header.command {
        case .write, .setInfo, .ioctl: true
        default: false
        }
    }
}
