import SMB2Wire

/// Who authenticated.
package struct User: Equatable, Sendable {
    package var name: String
    /// Its SID in text form; the owner of its handles.
    package var sid: String
    package var isAnonymous: Bool
    package var token: SecurityToken

    /// - Parameter token: nil: what can be known of the SID alone.
    package init(name: String, sid: String, isAnonymous: Bool = false, token: SecurityToken? = nil) {
        self.name = name
        self.sid = sid
        self.isAnonymous = isAnonymous
        self.token = token ?? SecurityToken(ownerOfRecord: sid)
    }

    /// Nobody in particular: ANONYMOUS LOGON.
    package static let anonymous = User(name: "", sid: "S-1-5-7", isAnonymous: true, token: .anonymous)

    /// Who it is; what it may do may have changed since.
    package static func == (left: User, right: User) -> Bool {
        left.sid == right.sid && left.name == right.name && left.isAnonymous == right.isAnonymous
    }
}

/// An authenticated context between a client and the server. [MS-SMB2] 3.3.1.8.
package struct Session: Sendable {
    /// Whether a valid one has expired is a question of time; see ``hasExpired(at:)``.
    package enum State: Equatable, Sendable {
        case inProgress
        case valid
    }

    package var state: State = .inProgress
    /// When it must authenticate anew, in the shell's milliseconds; nil: never. Session.ExpirationTime.
    package var expiresAt: UInt64?
    /// The connections that it is bound to, the oldest first: Session.ChannelList; the first is Session.Connection. Never
    /// empty. Their keys are the shell's.
    package var channels: [Connection.ID]
    package var user: User?
    /// Who set it up: nobody else may authenticate it anew, but nobody in particular may.
    package var founder: User?
    package var isSigningRequired = false
    package var requiresSigningByClient = false
    /// Every request must come encrypted, every reply goes so. 3.3.5.5.3.
    package var isEncryptionRequired = false
    /// Keys exist: not an anonymous session.
    package var hasKeys = false
    package var trees: SlotTable<TreeConnect>
    package var createdAt: UInt64

    package init(connection: Connection.ID, createdAt: UInt64) {
        self.channels = [connection]
        self.createdAt = createdAt
        self.trees = SlotTable(limit: Limits.treeConnectsPerSession, width: .narrow)
    }

    /// Its time is over: it can only be authenticated anew, or ended. [MS-SMB2] 3.3.5.2.9.
    package func hasExpired(at now: UInt64) -> Bool { self.expiresAt.map { $0 <= now } ?? false }
}

/// A session's use of a share. [MS-SMB2] 3.3.1.9.
package struct TreeConnect: Sendable {
    package var share: Share
    package var user: User
    package var maximalAccess: AccessMask
    /// Apple.swift.
    package var apple = AppleExtensions()

    package init(share: Share, user: User, maximalAccess: AccessMask) {
        self.share = share
        self.user = user
        self.maximalAccess = maximalAccess
    }
}
