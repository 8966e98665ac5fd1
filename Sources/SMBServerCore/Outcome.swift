import SMB2Wire
import StateRecords

/// How a reply leaves. The shell signs and encrypts.
package enum Protection: Equatable, Sendable {
    case none
    case sign(session: UInt64)
    case encrypt(session: UInt64)
}

/// What the shell must have done before a reply that lies in the writer may leave. It was written for success: when the
/// work fails the shell overwrites it (`ServerState.replaceReply`).
package enum Work: Sendable {
    case none
    /// `length` bytes are to be read behind the reply's fixed part (its last byte so far); DataLength is then stored.
    /// Fewer than `minimum` bytes, or none at all: STATUS_END_OF_FILE.
    case read(any FileHandle, offset: UInt64, length: Int, minimum: Int)
    /// `data` is a range of the request's message. `isDurable`: the bytes must be on stable storage too.
    case write(any FileHandle, offset: UInt64, data: Range<Int>, isDurable: Bool)
    /// All that was written to the file must be on stable storage; `includingName`: its name, too.
    case sync(any FileHandle, includingName: Bool)
    /// All these files were deleted: that must be on stable storage.
    case settle([any FileHandle])
    /// Bytes move from file to file, off the event loops; `ServerState.settleCopy` then puts the reply right.
    case copy(CopyJob)

    /// Whether what a later request of the same client sees depends on it.
    var movesData: Bool {
        switch self {
        case .read, .write, .copy: true
        case .none, .sync, .settle: false
        }
    }

    static func settling(_ deleted: [any FileHandle]) -> Work { deleted.isEmpty ? .none : .settle(deleted) }
}

/// A reply: header and body lie in the writer from `start` on.
package struct Reply: Sendable {
    package var start: Int
    package var protection: Protection
    package var work: Work = .none
    /// Request.CompressReply: the client asked for it. [MS-SMB2] 3.3.5.12.
    package var isCompressible = false
    /// Kept by the shell until the work is done.
    package var outstanding: OutstandingRequest?

    package init(
        start: Int, protection: Protection, work: Work = .none, outstanding: OutstandingRequest? = nil
    ) {
        self.start = start
        self.protection = protection
        self.work = work
        self.outstanding = outstanding
    }
}

/// SESSION_SETUP with a security token, which the shell's GSS mechanism must judge. Then `finishSessionSetup`.
package struct Authentication: Sendable {
    package var request: Request
    package var session: UInt64
    /// A range of the request's message.
    package var token: Range<Int>
    /// A valid session authenticates again: its keys stay. 3.3.5.5.2.
    package var isReauthentication: Bool
    /// The connection becomes another channel of the session. 3.3.5.5, 3.3.5.5.3.
    package var isBinding = false
    package var previousSession: UInt64
}

/// What the mechanism said.
package enum AuthenticationResult: Equatable, Sendable {
    case more(token: [UInt8])
    /// `userName` as the server's configuration spells it.
    case success(token: [UInt8], userName: String, isAnonymous: Bool)
    case failure(NTStatus, detail: String)
}

package enum Outcome: Sendable {
    case reply(Reply)
    /// Nothing is to be sent (CANCEL).
    case silent
    /// Nothing is to be sent yet: it waits as this pending request. The replies that stand before it in its frame wait with
    /// it, until its own is there (`Completion.answers`).
    case waiting(UInt64)
    case authenticate(Authentication)
    /// The client broke the protocol, or must not go on.
    case disconnect(String)
}

/// A message that answers no request of this moment: the end of an asynchronous one.
package struct Completion: Sendable {
    package var connection: Connection.ID
    /// Header and body.
    package var message: [UInt8]
    package var protection: Protection
    /// To be done before it leaves, and the request's message, which it may take its bytes from.
    package var work: Work = .none
    package var request: [UInt8] = []
    /// The pending request that it answers and that was not told to wait: see `Outcome.waiting`.
    package var answers: UInt64?
    /// When the work is done the shell calls `ServerState.continueCompound`: more of its compound follows.
    package var continuation: UInt64?
    /// Not before what the connection's client was to be sent earlier, whatever that waits for: this stands behind another
    /// message in its compound, and Linux's client waits forever for an answer that comes after the compound's last; or it is
    /// an announcement, about an open that an answer before told of, which overtakes what tells of none and only waits for a
    /// disk.
    package var isOrdered = false
    /// The server speaks by itself, and the answers to what made it speak must not be there before.
    package var isAnnouncement = false
    /// Kept by the shell until the work is done.
    package var outstanding: OutstandingRequest?
    /// The shell tells when the client's end has acknowledged its bytes (`ServerState.delivered`), and gives the connection up if
    /// it does not: the session has others, over which the core then says it again.
    package var needsDelivery = false
}
