import SMB2Wire

/// SMB2 TREE_CONNECT. [MS-SMB2] 2.2.9, 2.2.10, 3.3.5.7.
extension ServerState {
    mutating func treeConnect(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        // 3.3.5.7: the first request with the session's keys is what proves to the server that nobody changed the negotiation.
        guard
            request.dialect < .smb311 || request.isSigned || request.isEncrypted
                || self.sessions[request.session]?.hasKeys != true
        else { return .disconnect("an unprotected TREE_CONNECT in 3.1.1") }
        let connect = try parsing { () throws(WireError) in try TreeConnectRequest(parsing: message) }
        let path = try parsing { () throws(WireError) in try UTF16LE.decode(message.extracting(connect.path)) }
        let session = try self.session(request)
        guard let user = session.user, let connection = self.connections[request.connection] else {
            throw SMBError(.userSessionDeleted)
        }
        guard let separator = path.utf8.lastIndex(of: UInt8(ascii: "\\")) else { throw SMBError(.badNetworkName) }
        let name = String(path[path.index(after: separator)...])
        guard let share = self.shares[name.lowercased()] else { throw SMBError(.badNetworkName, "no share \(name)") }
        if share.requiresEncryption {
            guard connection.cipher != nil, session.hasKeys else {
                throw SMBError(.accessDenied, "\(name) needs a client that encrypts")
            }
        }
        let maximalAccess = self.maximalAccess(of: share, for: user)
        guard !maximalAccess.isEmpty else { throw SMBError(.accessDenied, "\(user.name) on \(name)") }
        // The status that 3.3.5.7 gives for a share's own limit of uses.
        guard self.usage.treeConnects < Int(self.configuration.limits[.treeConnects]),
            let tree = self.sessions[request.session]?.trees.insert(
                TreeConnect(share: share, user: user, maximalAccess: maximalAccess)),
            // The tree's id is its slot: the generation would not fit into 32 bits.
            let id = UInt32(exactly: tree)
        else { throw SMBError(.requestNotAccepted, "too many tree connects") }
        self.usage.treeConnects += 1
        request.treeID = id

        var flags: TreeConnectResponse.ShareFlags = .manualCaching
        if share.requiresEncryption, connection.is3 { flags.insert(.encryptData) }
        if share.isAccessBased { flags.insert(.accessBasedEnumeration) }
        if share.compressesData, connection.compression != nil { flags.insert(.compressData) }
        var capabilities: TreeConnectResponse.ShareCapabilities = []
        if share.isContinuouslyAvailable, connection.is3 { capabilities.insert(.continuousAvailability) }
        TreeConnectResponse(
            shareType: share.isPipes ? .pipe : .disk, shareFlags: flags, capabilities: capabilities,
            maximalAccess: maximalAccess
        ).encode(into: &writer)
        return self.reply(request, into: &writer)
    }
}
