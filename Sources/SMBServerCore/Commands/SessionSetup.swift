import SMB2Wire
import StateRecords

/// SMB2 SESSION_SETUP. [MS-SMB2] 2.2.5, 2.2.6, 3.3.5.5. The token is judged by the shell's GSS mechanism in between.
extension ServerState {
    mutating func sessionSetup(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let setup = try parsing { () throws(WireError) in try SessionSetupRequest(parsing: message) }
        guard let connection = self.connections[request.connection] else { throw SMBError(.connectionDisconnected) }
        // 3.3.5.5: it could not be kept secret what follows.
        guard !self.configuration.security.requiresEncryption || connection.cipher != nil else {
            throw SMBError(.accessDenied, "the server needs clients that encrypt")
        }
        guard !setup.isBinding else {
            try self.checkBinding(request, connection)
            return .authenticate(
                Authentication(
                    request: request, session: request.session, token: setup.securityBuffer, isReauthentication: false,
                    isBinding: true, previousSession: 0))
        }
        let isReauthentication: Bool
        if request.session == 0 {
            guard connection.sessions.count < Limits.sessionsPerConnection,
                let id = self.sessions.insert(Session(connection: request.connection, createdAt: self.now))
            else { throw SMBError(.requestNotAccepted, "too many sessions") }
            self.connections[request.connection]?.sessions.append(id)
            request.session = id
            isReauthentication = false
        } else {
            guard let session = self.sessions[request.session], session.channels.contains(request.connection) else {
                throw SMBError(.userSessionDeleted)
            }
            isReauthentication = session.state != .inProgress
            if isReauthentication, session.isSigningRequired, !request.isSigned, !request.isEncrypted {
                throw SMBError(.accessDenied, "unsigned request")
            }
        }
        self.sessions[request.session]?.requiresSigningByClient =
            setup.securityMode.contains(.signingRequired) || connection.clientSecurityMode.contains(.signingRequired)
        return .authenticate(
            Authentication(
                request: request, session: request.session, token: setup.securityBuffer,
                isReauthentication: isReauthentication, previousSession: setup.previousSessionID))
    }

    /// The mechanism has spoken. 3.3.5.5.3. When the result is success and the reply is signed, the shell has the keys.
    package mutating func finishSessionSetup(
        _ authentication: Authentication, _ result: AuthenticationResult, into writer: inout WireWriter
    ) -> Outcome {
        var request = authentication.request
        let id = authentication.session
        var outcome: Outcome
        do throws(SMBError) {
            writer.truncate(to: request.replyStart)
            writer.claimHeader()
            switch result {
            case .failure(let status, let detail):
                throw SMBError(status, detail)
            case .more(let token):
                SessionSetupResponse(flags: []).encode(into: &writer, token: token.span.bytes)
                outcome = self.reply(request, status: .moreProcessingRequired, into: &writer)
            case .success(let token, let userName, let isAnonymous) where authentication.isBinding:
                try self.bind(authentication, userName: userName, isAnonymous: isAnonymous)
                SessionSetupResponse(flags: []).encode(into: &writer, token: token.span.bytes)
                outcome = self.reply(request, into: &writer)
            case .success(let token, let userName, let isAnonymous):
                let flags = try self.authenticated(authentication, userName: userName, isAnonymous: isAnonymous)
                SessionSetupResponse(flags: flags).encode(into: &writer, token: token.span.bytes)
                outcome = self.reply(request, into: &writer)
                if case .reply(var reply) = outcome, self.sessions[id]?.hasKeys == true, !request.isEncrypted {
                    // 3.3.5.5.3: signed even where nothing else is, so that the client can trust what was negotiated.
                    reply.protection = .sign(session: id)
                    outcome = .reply(reply)
                }
            }
        } catch {
            outcome = .reply(self.fail(&request, error, into: &writer))
            self.note(error)
            // The other channels of a session have nothing to do with one that could not be added.
            if !authentication.isBinding { self.endSession(id, keepsDurable: false) }
        }
        _ = self.settle(&outcome, &request, into: &writer)
        self.carryOutWoken()
        return outcome
    }

    private mutating func authenticated(
        _ authentication: Authentication, userName: String, isAnonymous: Bool
    ) throws(SMBError) -> SessionSetupResponse.Flags {
        let id = authentication.session
        guard let session = self.sessions[id], let connection = self.connections[authentication.request.connection]
        else {
            throw SMBError(.userSessionDeleted)
        }
        let security = self.configuration.security
        let user = isAnonymous ? User.anonymous : try self.user(named: userName)
        guard !isAnonymous || security.allowsAnonymous else { throw SMBError(.logonFailure, "an anonymous logon") }
        let lifetime = UInt64(security.sessionLifetimeSeconds) * 1000
        self.sessions[id]?.expiresAt = lifetime == 0 ? nil : self.now &+ lifetime
        if authentication.isReauthentication {
            // 3.3.5.5.3: another user cannot take a session over. Its keys, and what they protect, stay.
            guard session.founder == user || isAnonymous && session.hasKeys else {
                throw SMBError(.accessDenied, "another user in a re-authentication")
            }
            self.sessions[id]?.state = .valid
            self.sessions[id]?.user = user
            self.changeUser(ofTreesIn: id, to: user)
            return []
        }
        // Without keys nothing could be encrypted.
        guard !isAnonymous || !security.requiresEncryption else {
            throw SMBError(.accessDenied, "an anonymous logon to a server that encrypts")
        }
        self.sessions[id]?.user = user
        self.sessions[id]?.founder = user
        self.sessions[id]?.state = .valid
        self.sessions[id]?.hasKeys = !isAnonymous
        self.sessions[id]?.isSigningRequired =
            !isAnonymous
            && (connection.serverSecurityMode.contains(.signingRequired) || session.requiresSigningByClient)
        self.sessions[id]?.isEncryptionRequired = security.requiresEncryption
        let previous = authentication.previousSession
        if previous != 0, previous != id, self.sessions[previous]?.user == user, !isAnonymous {
            self.endSession(previous, keepsDurable: true)
        }
        if isAnonymous { return .isNull }
        return security.requiresEncryption ? .encryptData : []
    }

    private func user(named name: String) throws(SMBError) -> User {
        guard let record = self.configuration.users.first(where: { $0.name == name }) else {
            throw SMBError(.logonFailure, "user \(name) is gone")
        }
        return self.user(of: record)
    }

    /// What is opened from now on is opened by somebody else. What is open stays so, with the access that was granted.
    private mutating func changeUser(ofTreesIn session: UInt64, to user: User) {
        for key in self.sessions[session]?.trees.keys ?? [] {
            guard let tree = self.sessions[session]?.trees[key], tree.user != user else { continue }
            let access = self.maximalAccess(of: tree.share, for: user)
            self.sessions[session]?.trees[key]?.user = user
            self.sessions[session]?.trees[key]?.maximalAccess = access
        }
    }

    /// Who a user of the configuration is.
    func user(of record: UserRecord) -> User {
        let domain = self.configuration.domain
        let sid = SID(5, [21, domain.0, domain.1, domain.2, record.relativeID])
        return User(
            name: record.name, sid: sid.description,
            token: SecurityToken(user: sid, domain: domain, isAdministrator: record.isAdministrator))
    }
}
