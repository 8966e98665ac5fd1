import SMB2Wire

/// SMB2 NEGOTIATE. [MS-SMB2] 2.2.3, 2.2.4, 3.3.5.3, 3.3.5.4.
extension ServerState {
    /// What this server prefers, the best first; ciphers and signing algorithms are the administrator's choice, and in the
    /// beginning GMAC and GCM, which cost a fifth of CMAC and CCM.
    private static let dialects: [Dialect] = [.smb311, .smb302, .smb30, .smb21, .smb202]

    private var ciphers: [Cipher] { self.configuration.security.ciphers.map { Cipher(rawValue: $0.rawValue) } }

    private var signingAlgorithms: [SigningAlgorithm] {
        self.configuration.security.signingAlgorithms.map { SigningAlgorithm(rawValue: $0.rawValue) }
    }

    /// Whether the only algorithm that a dialect has may be used; 3.1.1 negotiates it.
    private func maySign(_ dialect: Dialect) -> Bool {
        switch dialect {
        case .smb202, .smb21: self.signingAlgorithms.contains(.hmacSHA256)
        case .smb30, .smb302: self.signingAlgorithms.contains(.aesCMAC)
        default: true
        }
    }

    mutating func negotiate(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let negotiate = try parsing { () throws(WireError) in try NegotiateRequest(parsing: message) }
        guard var connection = self.connections[request.connection], connection.state != .negotiated else {
            return .disconnect("a second NEGOTIATE")
        }
        guard let dialect = Self.dialects.first(where: { negotiate.dialects.contains($0) && self.maySign($0) }) else {
            throw SMBError(.notSupported, "no common dialect")
        }
        connection.dialect = dialect
        connection.clientGUID = negotiate.clientGUID
        connection.clientCapabilities = negotiate.capabilities
        connection.clientSecurityMode = negotiate.securityMode
        connection.clientDialects = negotiate.dialects
        let contexts = dialect == .smb311 ? try self.agree(negotiate.contexts, &connection) : nil
        if dialect >= .smb30, dialect < .smb311 {
            connection.signingAlgorithm = .aesCMAC
            if negotiate.capabilities.contains(.encryption), self.ciphers.contains(.aes128CCM) {
                connection.cipher = .aes128CCM
            }
        }
        connection.serverCapabilities = self.capabilities(connection)
        connection.serverSecurityMode = self.securityMode
        connection.maximumTransfer = dialect >= .smb21 ? Limits.transfer : Limits.transferWithoutCredits
        connection.state = .negotiated
        request.dialect = dialect
        self.connections[request.connection] = connection
        if connection.is3 { self.clientConnections[connection.clientGUID, default: []].append(request.connection) }
        self.response(connection, contexts).encode(into: &writer)
        return self.reply(request, into: &writer)
    }

    private var securityMode: SecurityMode {
        self.configuration.requiresSigning ? [.signingEnabled, .signingRequired] : .signingEnabled
    }

    private func capabilities(_ connection: Connection) -> Capabilities {
        var capabilities: Capabilities = []
        if connection.dialect >= .smb21 { capabilities.formUnion([.largeMTU, .leasing]) }
        if connection.is3 {
            if connection.clientCapabilities.contains(.directoryLeasing) { capabilities.insert(.directoryLeasing) }
            if connection.clientCapabilities.contains(.multiChannel) { capabilities.insert(.multiChannel) }
            if connection.clientCapabilities.contains(.persistentHandles) { capabilities.insert(.persistentHandles) }
            if connection.dialect < .smb311, connection.cipher != nil { capabilities.insert(.encryption) }
        }
        return capabilities
    }

    private func response(_ connection: Connection, _ contexts: NegotiateContexts?) -> NegotiateResponse {
        let maximum = UInt32(connection.maximumTransfer)
        return NegotiateResponse(
            securityMode: connection.serverSecurityMode, dialect: connection.dialect,
            serverGUID: GUID(self.configuration.serverGUID), capabilities: connection.serverCapabilities,
            maximumTransactSize: maximum, maximumReadSize: maximum, maximumWriteSize: maximum,
            systemTime: self.wallClock, securityBuffer: self.negotiateToken, contexts: contexts)
    }

    /// 3.3.5.4, the negotiate contexts of 3.1.1.
    private func agree(
        _ offered: NegotiateContexts?, _ connection: inout Connection
    ) throws(SMBError) -> NegotiateContexts {
        guard let offered, let preauth = offered.preauthIntegrity else {
            throw SMBError(.invalidParameter, "3.1.1 without preauthentication integrity")
        }
        guard preauth.hashAlgorithms.contains(.sha512) else { throw SMBError(.smbNoPreauthIntegrityHashOverlap) }
        var answer = NegotiateContexts()
        answer.preauthIntegrity = PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: self.makeSalt())
        if let ciphers = offered.ciphers {
            connection.cipher = self.ciphers.first { ciphers.contains($0) }
            answer.ciphers = [connection.cipher ?? Cipher(rawValue: 0)]
        }
        if let compression = offered.compression {
            answer.compression = self.agree(onCompression: compression, &connection)
        }
        connection.signingAlgorithm = .aesCMAC
        if let algorithms = offered.signingAlgorithms,
            let algorithm = self.signingAlgorithms.first(where: { algorithms.contains($0) })
        {
            connection.signingAlgorithm = algorithm
            answer.signingAlgorithms = [algorithm]
        } else if !self.signingAlgorithms.contains(.aesCMAC) {
            // What a client has that says nothing of it, or nothing that is known here.
            throw SMBError(.notSupported, "no common signing algorithm")
        }
        if offered.posix == POSIXExtensions.negotiateData {
            connection.isPOSIX = true
            answer.posix = offered.posix
        }
        return answer
    }

    /// The one SMB1 message that is understood: an offer of SMB2 among SMB1 dialects. 3.3.5.3.1, 3.3.5.3.2.
    package mutating func negotiateSMB1(
        _ packet: RawSpan, connection id: Connection.ID, into writer: inout WireWriter
    ) -> Outcome {
        let offer: SMB1Negotiate
        do throws(WireError) { offer = try SMB1Negotiate(parsing: packet) } catch { return .disconnect("\(error)") }
        guard var connection = self.connections[id], connection.state == .new else {
            return .disconnect("an SMB1 message after NEGOTIATE")
        }
        guard offer.offersWildcard || offer.offersSMB202 else { return .disconnect("the client offers SMB1 only") }
        guard offer.offersWildcard || self.maySign(.smb202) else {
            return .disconnect("the client signs with HMAC-SHA256 only")
        }
        let start = writer.count
        connection.dialect = offer.offersWildcard ? .wildcard : .smb202
        connection.state = offer.offersWildcard ? .multiProtocol : .negotiated
        connection.serverSecurityMode = self.securityMode
        connection.maximumTransfer = Limits.transferWithoutCredits
        connection.window.consumeFirst()
        var header = SMB2Header(command: .negotiate, flags: .response, credits: connection.window.grant(1))
        header.creditCharge = 0
        self.connections[id] = connection
        header.encode(into: &writer)
        self.response(connection, nil).encode(into: &writer)
        return .reply(Reply(start: start, protection: .none))
    }
}
