import SMB2Wire

/// SMB2 SESSION_SETUP with SMB2_SESSION_FLAG_BINDING: another connection of a client becomes a channel of its session.
/// [MS-SMB2] 2.2.5, 3.3.5.5, 3.3.5.5.3, 3.3.7.1.
extension ServerState {
    /// Whether the connection may be bound to the session. The shell has checked the signature with Session.SigningKey and
    /// the session's own algorithm, whatever this connection has negotiated.
    ///
    /// AES-GMAC goes with nothing else, and that is looked at before all else, as Windows does; [MS-SMB2] has only the later
    /// checks. Each channel signs by the algorithm of its own connection.
    func checkBinding(_ request: Request, _ connection: Connection) throws(SMBError) {
        guard request.header.isSigned else { throw SMBError(.invalidParameter, "binding unsigned") }
        guard let session = self.sessions[request.session], let first = self.connections[session.channels[0]] else {
            guard connection.is3 else { throw SMBError(.requestNotAccepted, "binding before 3.0") }
            throw SMBError(.userSessionDeleted)
        }
        if first.signingAlgorithm != connection.signingAlgorithm {
            guard first.signingAlgorithm != .aesGMAC else { throw SMBError(.requestOutOfSequence, "signing algorithm") }
            guard connection.signingAlgorithm != .aesGMAC else { throw SMBError(.notSupported, "signing algorithm") }
        }
        guard connection.is3 else { throw SMBError(.requestNotAccepted, "binding before 3.0") }
        guard connection.dialect == first.dialect, connection.cipher == first.cipher,
            connection.clientGUID == first.clientGUID
        else { throw SMBError(.invalidParameter, "the channels of a session negotiate alike") }
        guard !session.channels.contains(request.connection) else {
            throw SMBError(.requestNotAccepted, "this is a channel of the session")
        }
        guard session.state == .valid else { throw SMBError(.requestNotAccepted, "the session is not set up") }
        guard !session.hasExpired(at: self.now) else { throw SMBError(.networkSessionExpired) }
        guard session.hasKeys else { throw SMBError(.notSupported, "binding to an anonymous session") }
        guard request.isSigned else { throw SMBError(.accessDenied, "bad signature") }
        guard session.channels.count < Limits.channelsPerSession,
            connection.sessions.count < Limits.sessionsPerConnection
        else { throw SMBError(.insufficientResources, "channels") }
    }

    /// The mechanism has let the user in: the connection is a channel, if it still may be.
    mutating func bind(
        _ authentication: Authentication, userName: String, isAnonymous: Bool
    ) throws(SMBError) {
        guard let connection = self.connections[authentication.request.connection] else {
            throw SMBError(.connectionDisconnected)
        }
        try self.checkBinding(authentication.request, connection)
        guard !isAnonymous, self.sessions[authentication.session]?.user?.name == userName else {
            throw SMBError(.accessDenied, "another user binds to a session")
        }
        self.sessions[authentication.session]?.channels.append(authentication.request.connection)
        self.connections[authentication.request.connection]?.sessions.append(authentication.session)
    }

    /// The connection ends. False: the session has no other channel, and ends with it.
    mutating func leaveChannel(_ connection: Connection.ID, of id: UInt64) -> Bool {
        guard let channels = self.sessions[id]?.channels.filter({ $0 != connection }), let heir = channels.first else {
            return false
        }
        self.sessions[id]?.channels = channels
        for key in self.opens.keys where self.opens[key]?.session == id {
            if self.opens[key]?.connection == connection { self.opens[key]?.connection = heir }
            // What was told last over the channel that is gone may not have arrived.
            if self.opens[key]?.notification != nil { self.opens[key]?.mayHaveMissedChanges = true }
        }
        return true
    }
}
