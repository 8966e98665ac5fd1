import SMB2Wire

/// What the shell found out about a message's signature.
package enum SignatureCheck: Equatable, Sendable {
    /// It is not signed, or came encrypted.
    case absent
    case valid
    case invalid
    /// Signed for a session that has no key here.
    case noKey
}

/// The messages of one transport frame: a compound when there are several. [MS-SMB2] 3.3.5.2.7.
package struct RequestFrame: Sendable {
    package let connection: Connection.ID
    /// The session that the transform header named; nil for a frame in plain text.
    package let encryptedFor: UInt64?
    package var messages = 0

    // What a related message takes over from the one before it.
    package var sessionID: UInt64 = 0
    package var treeID: UInt32 = 0
    package var fileID: FileID?
    package var status: NTStatus = .success
    /// Why the CREATE that the following related messages need failed.
    package var createError: NTStatus?
    /// The last message was well enough to be related to.
    package var canRelate = false
    /// This message is the frame's last: only then may it wait for a lock or a change.
    package var isLast = true
    /// A message waits for an oplock break, and all that follow it with it: its key in the table of pending requests.
    package var deferredBehind: UInt64?

    package init(connection: Connection.ID, encryptedFor: UInt64? = nil) {
        self.connection = connection
        self.encryptedFor = encryptedFor
    }
}

/// One request on its way through the core.
package struct Request: Sendable {
    package var header: SMB2Header
    package var connection: Connection.ID
    package let isEncrypted: Bool
    package let isSigned: Bool
    package var session: UInt64
    package var treeID: UInt32
    package let isLastOfFrame: Bool
    /// Nothing stands before its reply in the frame that answers it.
    package var isFirstOfFrame = true
    /// The file of the preceding related request.
    package var relatedFileID: FileID?
    /// What the request operated on, for the next related one.
    package var fileID: FileID?
    /// Where the reply's header stands in the writer.
    package var replyStart = 0
    package var dialect: Dialect
    /// It changes an open's file; see ``OutstandingRequest``.
    var outstanding: OutstandingRequest?
}
