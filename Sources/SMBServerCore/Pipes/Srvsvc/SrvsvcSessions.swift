import SMB2Wire

/// Sessions, connections and open files. Administrators see all; of sessions, at the levels that Windows gives to
/// everybody (0 and 10), others see their own. [MS-SRVS] 3.1.4.1, .2, .5.
enum SrvsvcSessions {
    /// Entries of one answer; ERROR_MORE_DATA and a resume handle lead to the others.
    static let maximumEntries = 1000

    static func answerSessions(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, into writer: inout NDRWriter
    ) throws(WireError) {
        let query = try SrvsvcEnumeration(
            operation: call.operation, levels: SrvsvcSession.levels, parsing: stub)
        let isAdministrator = server.accounts.isAdministrator(call.caller)
        guard isAdministrator || query.level == 0 || query.level == 10 else {
            query.answer([SrvsvcSession](), total: 0, status: Win32Error.accessDenied, into: &writer)
            return
        }
        let clientFilter = self.filter(query.filters[0], droppingSlashes: true)
        let userFilter = self.filter(query.filters[1])
        var opens: [UInt64: UInt32] = [:]
        // The other levels do not show them, and anybody may ask those.
        if isAdministrator, query.level != 0, query.level != 10 {
            server.opens.forEach { _, open in if let session = open.session { opens[session, default: 0] += 1 } }
        }
        var entries: [SrvsvcSession] = []
        for key in server.sessions.keys {
            guard let session = server.sessions[key], session.state == .valid, let user = session.user,
                isAdministrator || user == call.caller, userFilter == nil || userFilter == user.name.lowercased()
            else { continue }
            let client = self.client(of: session.channels[0], server)
            guard clientFilter == nil || clientFilter == client else { continue }
            let seconds = UInt32(clamping: (server.now &- session.createdAt) / 1000)
            // The time of a session's last request is not kept: none is shown as idle.
            entries.append(
                SrvsvcSession(
                    client: "\\\\\(client)", user: user.name, opens: opens[key] ?? 0, activeSeconds: seconds,
                    idleSeconds: 0))
        }
        self.finish(query, entries, into: &writer)
    }

    static func answerConnections(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, into writer: inout NDRWriter
    ) throws(WireError) {
        let query = try SrvsvcEnumeration(
            operation: call.operation, levels: SrvsvcConnection.levels, parsing: stub)
        guard server.accounts.isAdministrator(call.caller) else {
            query.answer([SrvsvcConnection](), total: 0, status: Win32Error.accessDenied, into: &writer)
            return
        }
        // A client's name begins with two backslashes, a share's does not.
        let qualifier = query.filters[0] ?? ""
        let byClient = qualifier.hasPrefix("\\\\")
        let wanted = self.filter(qualifier, droppingSlashes: true)
        if !byClient, server.shares[qualifier.lowercased()] == nil {
            query.answer([SrvsvcConnection](), total: 0, status: Win32Error.netNameNotFound, into: &writer)
            return
        }
        var entries: [SrvsvcConnection] = []
        for key in server.sessions.keys {
            guard let session = server.sessions[key], let user = session.user else { continue }
            let client = self.client(of: session.channels[0], server)
            guard !byClient || client == wanted else { continue }
            for tree in session.trees.keys {
                guard let connect = session.trees[tree], byClient || connect.share.name.lowercased() == wanted else {
                    continue
                }
                entries.append(
                    SrvsvcConnection(
                        id: UInt32(truncatingIfNeeded: tree),
                        type: connect.share.isPipes ? SrvsvcShare.ipc : SrvsvcShare.diskTree, opens: 0,
                        activeSeconds: UInt32(clamping: (server.now &- session.createdAt) / 1000), user: user.name,
                        name: byClient ? connect.share.name : "\\\\\(client)"))
            }
        }
        self.finish(query, entries, into: &writer)
    }

    static func answerFiles(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, into writer: inout NDRWriter
    ) throws(WireError) {
        let query = try SrvsvcEnumeration(operation: call.operation, levels: SrvsvcFile.levels, parsing: stub)
        guard server.accounts.isAdministrator(call.caller) else {
            query.answer([SrvsvcFile](), total: 0, status: Win32Error.accessDenied, into: &writer)
            return
        }
        let base = self.filter(query.filters[0])
        let user = self.filter(query.filters[1])
        // A million opens are looked at for each answer, and only those that it holds are described.
        let wanted = self.range(query)
        var entries: [SrvsvcFile] = []
        var count = 0
        server.opens.forEach { _, open in
            guard user == nil || user == open.owner.name.lowercased() else { return }
            if base == nil, !wanted.contains(count) {
                count += 1
                return
            }
            let path = open.share.isPipes ? "\\PIPE\\\(open.path)" : "C:\\\(open.share.name)\\\(open.path)"
            guard base == nil || path.lowercased().hasPrefix(base ?? "") else { return }
            count += 1
            guard wanted.contains(count - 1) else { return }
            entries.append(self.describe(open, path: path, server))
        }
        self.finish(query, entries, from: min(wanted.lowerBound, count), of: count, into: &writer)
    }

    private static func describe(_ open: Open, path: String, _ server: borrowing ServerState) -> SrvsvcFile {
        let writes = AccessMask([.writeData, .appendData])
        return SrvsvcFile(
            id: UInt32(truncatingIfNeeded: open.persistentID),
            permissions: (open.grantedAccess.contains(.readData) ? 1 : 0)
                | (open.grantedAccess.isDisjoint(with: writes) ? 0 : 2),
            locks: UInt32(clamping: server.files[open.file]?.locks.all.count ?? 0), path: path, user: open.owner.name)
    }

    /// What one answer may hold, of those that match: from the resume handle on, as much as the client wants.
    private static func range(_ query: SrvsvcEnumeration) -> Range<Int> {
        let start = Int(query.resumeHandle ?? 0)
        // The preferred length is a hint; an entry with its texts takes about this much.
        return start..<start + min(Self.maximumEntries, max(1, Int(query.preferredByteCount) / 100))
    }

    private static func finish<Entry: SrvsvcEntry>(
        _ query: SrvsvcEnumeration, _ entries: [Entry], into writer: inout NDRWriter
    ) {
        let range = self.range(query).clamped(to: 0..<entries.count)
        self.finish(query, Array(entries[range]), from: range.lowerBound, of: entries.count, into: &writer)
    }

    /// The last of an answer: `count` match in all, and `entries` are those from `start` on.
    private static func finish<Entry: SrvsvcEntry>(
        _ query: SrvsvcEnumeration, _ entries: [Entry], from start: Int, of count: Int, into writer: inout NDRWriter
    ) {
        query.answer(
            entries, total: count - start,
            status: start + entries.count < count ? Win32Error.moreData : Win32Error.success, into: &writer)
    }

    /// Lower case; nil for a filter that lets all through.
    private static func filter(_ text: String?, droppingSlashes: Bool = false) -> String? {
        guard var text, !text.isEmpty else { return nil }
        if droppingSlashes { while text.hasPrefix("\\") { text.removeFirst() } }
        return text.lowercased()
    }

    /// The client's address, as text.
    private static func client(of connection: Connection.ID, _ server: borrowing ServerState) -> String {
        let address = server.connections[connection]?.client.clientAddress ?? []
        if address.count == 4 { return address.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: address.count - 1, by: 2).map {
            String(UInt16(address[$0]) << 8 | UInt16(address[$0 + 1]), radix: 16)
        }.joined(separator: ":")
    }
}
