import SMB2Wire

/// The account manager, [MS-SAMR] 3.1.5, for those who pick users and groups from a list. There are two domains: the
/// server's own with its users and one group, and BUILTIN with its aliases. Nothing can be changed, and no password's
/// hash leaves.
enum SamrService {
    /// Entries of one answer; STATUS_MORE_ENTRIES leads to the others.
    static let maximumEntries = 1000

    static func answer(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, _ handles: inout ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        switch call.operation {
        case SamrOperation.connect, SamrOperation.connect2, SamrOperation.connect4, SamrOperation.connect5:
            try SamrConnect.check(operation: call.operation, parsing: stub)
            if call.operation == SamrOperation.connect5 {
                // SAMPR_REVISION_INFO_V1, 2.2.7.15: revision 3, none of the features.
                for value: UInt32 in [1, 1, 3, 0] { writer.append(value) }
            }
            handles.open(.accounts, into: &writer)
        case SamrOperation.closeHandle:
            return try handles.close(stub, into: &writer)
        case SamrOperation.lookupDomain, SamrOperation.enumerateDomains, SamrOperation.openDomain:
            return try self.domains(call, stub, server.accounts, &handles, into: &writer)
        default:
            let accounts = server.accounts
            if let fault = try self.inDomain(call, stub, accounts, &handles, into: &writer) {
                guard fault == RPCFault.operationOutOfRange else { return fault }
                return try self.ofObject(call, stub, accounts, handles, into: &writer)
            }
        }
        return nil
    }

    // MARK: The server

    private static func domains(
        _ call: PipeCall, _ stub: RawSpan, _ accounts: Accounts, _ handles: inout ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        let isServer = handles[try RPCHandleCall(parsing: stub).handle] == .accounts
        guard isServer else { return RPCFault.contextMismatch }
        switch call.operation {
        case SamrOperation.lookupDomain:
            let name = try SamrLookupDomain(parsing: stub).name.lowercased()
            let sid: SID? =
                name == accounts.name.lowercased()
                ? accounts.sid : name == WellKnownAccounts.builtinName.lowercased() ? WellKnownAccounts.builtin : nil
            writer.append(uniqueSID: sid)
            writer.append(sid == nil ? NTStatus.noSuchDomain : .success)
        case SamrOperation.enumerateDomains:
            let query = try SamrNumbersCall(parsing: stub, count: 2)
            self.enumerate(
                [(0, accounts.name), (1, WellKnownAccounts.builtinName)], from: query.numbers[0],
                preferred: query.numbers[1], into: &writer)
        default:
            let query = try SamrOpenDomain(parsing: stub)
            guard query.sid == accounts.sid || query.sid == WellKnownAccounts.builtin else {
                writer.append(RPCContextHandle.null)
                writer.append(NTStatus.noSuchDomain)
                return nil
            }
            handles.open(.domain(isBuiltin: query.sid == WellKnownAccounts.builtin), into: &writer)
        }
        return nil
    }

    /// From `context` on, as much as fits.
    private static func enumerate(
        _ entries: [(relativeID: UInt32, name: String)], from context: UInt32, preferred: UInt32,
        into writer: inout NDRWriter
    ) {
        let range = self.range(of: entries.count, from: context, preferred: preferred)
        writer.appendEnumeration(
            Array(entries[range]), context: UInt32(range.upperBound),
            status: range.upperBound < entries.count ? .moreEntries : .success)
    }

    private static func range(of count: Int, from start: UInt32, preferred: UInt32) -> Range<Int> {
        let start = min(Int(start), count)
        // The preferred length is a hint; an entry with its name takes about this much.
        let room = max(1, Int(preferred) / 64)
        return start..<start + min(count - start, Self.maximumEntries, room)
    }

    // MARK: A domain

    /// RPCFault.operationOutOfRange: not a call with a domain's handle.
    private static func inDomain(
        _ call: PipeCall, _ stub: RawSpan, _ accounts: Accounts, _ handles: inout ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        guard self.domainCalls.contains(call.operation) else { return RPCFault.operationOutOfRange }
        guard case .domain(let isBuiltin)? = handles[try RPCHandleCall(parsing: stub).handle] else {
            return RPCFault.contextMismatch
        }
        let users = isBuiltin ? [] : accounts.users.map { (relativeID: $0.relativeID, name: $0.name) }
        let groups: [(relativeID: UInt32, name: String)] =
            isBuiltin ? [] : [(Accounts.primaryGroupRelativeID, Accounts.primaryGroupName)]
        let aliases = isBuiltin ? WellKnownAccounts.builtinAliases : []
        switch call.operation {
        case SamrOperation.queryInformationDomain, SamrOperation.queryInformationDomain2:
            SamrDomain(
                name: isBuiltin ? WellKnownAccounts.builtinName : accounts.name, users: UInt32(users.count),
                groups: UInt32(groups.count), aliases: UInt32(aliases.count)
            ).answer(level: try RPCQueryCall(parsing: stub).level, into: &writer)
        case SamrOperation.enumerateUsers:
            let query = try SamrNumbersCall(parsing: stub, count: 3)
            // A filter that asks for none of the kinds of account that are here finds none.
            let matches = query.numbers[1] == 0 || query.numbers[1] & SamrUser.accountControl != 0
            self.enumerate(
                matches ? users : [], from: query.numbers[0], preferred: query.numbers[2], into: &writer)
        case SamrOperation.enumerateGroups, SamrOperation.enumerateAliases:
            let query = try SamrNumbersCall(parsing: stub, count: 2)
            self.enumerate(
                call.operation == SamrOperation.enumerateGroups ? groups : aliases, from: query.numbers[0],
                preferred: query.numbers[1], into: &writer)
        case SamrOperation.lookupNames:
            self.lookup(try SamrLookupNames(parsing: stub).names, users, groups, aliases, into: &writer)
        case SamrOperation.lookupIDs:
            self.lookup(try SamrLookupIDs(parsing: stub).relativeIDs, isBuiltin, accounts, into: &writer)
        case SamrOperation.openUser, SamrOperation.openGroup, SamrOperation.openAlias:
            let relativeID = try SamrNumbersCall(parsing: stub, count: 2).numbers[1]
            self.open(call.operation, relativeID, isBuiltin, accounts, &handles, into: &writer)
        case SamrOperation.getAliasMembership:
            let sids = try SamrGetAliasMembership(parsing: stub).sids
            writer.append(numbers: isBuiltin ? self.aliases(of: sids, accounts) : [])
            writer.append(NTStatus.success)
        case SamrOperation.ridToSid:
            let relativeID = try SamrNumbersCall(parsing: stub, count: 1).numbers[0]
            let domain = isBuiltin ? WellKnownAccounts.builtin : accounts.sid
            writer.append(uniqueSID: SID(domain.authority, domain.subAuthorities + [relativeID]))
            writer.append(NTStatus.success)
        default:
            let query = try SamrQueryDisplay(parsing: stub)
            let entries = query.level == 1 ? users : query.level == 3 ? groups : []
            guard (1...3).contains(query.level) else {
                // The levels with OEM strings, which no client of today asks for.
                SamrDisplay.answer(
                    level: query.level, [], from: 0, total: 0, status: .invalidInfoClass, into: &writer)
                return nil
            }
            var range = self.range(of: entries.count, from: query.index, preferred: query.preferredByteCount)
            range = range.lowerBound..<min(range.upperBound, range.lowerBound + Int(query.entryCount))
            SamrDisplay.answer(
                level: query.level, Array(entries[range]), from: range.lowerBound, total: entries.count,
                status: range.upperBound < entries.count ? .moreEntries : .success, into: &writer)
        }
        return nil
    }

    private static let domainCalls: Set<UInt16> = [
        SamrOperation.queryInformationDomain, SamrOperation.queryInformationDomain2, SamrOperation.enumerateUsers,
        SamrOperation.enumerateGroups, SamrOperation.enumerateAliases, SamrOperation.lookupNames,
        SamrOperation.lookupIDs, SamrOperation.openUser, SamrOperation.openGroup, SamrOperation.openAlias,
        SamrOperation.getAliasMembership, SamrOperation.ridToSid, SamrOperation.queryDisplayInformation,
        SamrOperation.queryDisplayInformation2, SamrOperation.queryDisplayInformation3,
    ]

    private static func status(_ mapped: Int, of count: Int) -> NTStatus {
        mapped == count ? .success : mapped == 0 ? .noneMapped : .someNotMapped
    }

    private static func lookup(
        _ names: [String], _ users: [(relativeID: UInt32, name: String)],
        _ groups: [(relativeID: UInt32, name: String)], _ aliases: [(relativeID: UInt32, name: String)],
        into writer: inout NDRWriter
    ) {
        var known: [String: (relativeID: UInt32, use: SIDNameUse)] = [:]
        for entry in aliases { known[entry.name.lowercased()] = (entry.relativeID, .alias) }
        for entry in users { known[entry.name.lowercased()] = (entry.relativeID, .user) }
        for entry in groups { known[entry.name.lowercased()] = (entry.relativeID, .group) }
        let found = names.map { known[$0.lowercased()] }
        writer.append(numbers: found.map { $0?.relativeID ?? 0 })
        writer.append(numbers: found.map { UInt32(($0?.use ?? .unknown).rawValue) })
        writer.append(self.status(found.count { $0 != nil }, of: found.count))
    }

    private static func lookup(
        _ relativeIDs: [UInt32], _ isBuiltin: Bool, _ accounts: Accounts, into writer: inout NDRWriter
    ) {
        let found = relativeIDs.map {
            isBuiltin ? WellKnownAccounts.bySID[SID(5, [32, $0])] : accounts.find(relativeID: $0)
        }
        writer.append(returnedNames: found.map { $0?.name })
        writer.append(numbers: found.map { UInt32(($0?.use ?? .unknown).rawValue) })
        writer.append(self.status(found.count { $0 != nil }, of: found.count))
    }

    private static func open(
        _ operation: UInt16, _ relativeID: UInt32, _ isBuiltin: Bool, _ accounts: Accounts,
        _ handles: inout ContextHandles, into writer: inout NDRWriter
    ) {
        let object: PipeObject
        let missing: NTStatus
        let exists: Bool
        switch operation {
        case SamrOperation.openUser:
            (object, missing) = (.user(relativeID: relativeID), .noSuchUser)
            exists = !isBuiltin && accounts.user(relativeID: relativeID) != nil
        case SamrOperation.openGroup:
            (object, missing) = (.group(relativeID: relativeID), .noSuchGroup)
            exists = !isBuiltin && relativeID == Accounts.primaryGroupRelativeID
        default:
            (object, missing) = (.alias(relativeID: relativeID), .noSuchAlias)
            exists = isBuiltin && WellKnownAccounts.bySID[SID(5, [32, relativeID])] != nil
        }
        guard exists else {
            writer.append(RPCContextHandle.null)
            writer.append(missing)
            return
        }
        handles.open(object, into: &writer)
    }

    /// The aliases of BUILTIN that hold one of `sids`: users of this server are Users, its administrators Administrators.
    private static func aliases(of sids: [SID], _ accounts: Accounts) -> [UInt32] {
        var found: Set<UInt32> = []
        for sid in sids {
            if sid == .authenticatedUsers { found.insert(545) }
            guard let account = accounts.find(sid), account.use == .user, account.domainSID == accounts.sid else {
                continue
            }
            found.insert(545)
            if self.administrators(accounts).contains(sid) { found.insert(544) }
        }
        return found.sorted()
    }

    // MARK: Users, groups, aliases

    private static func ofObject(
        _ call: PipeCall, _ stub: RawSpan, _ accounts: Accounts, _ handles: ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        let isKnown = [
            SamrOperation.queryInformationUser, SamrOperation.queryInformationUser2, SamrOperation.getGroupsForUser,
            SamrOperation.queryInformationGroup, SamrOperation.getMembersInGroup, SamrOperation.queryInformationAlias,
            SamrOperation.getMembersInAlias,
        ].contains(call.operation)
        guard isKnown else { return RPCFault.operationOutOfRange }
        let object = handles[try RPCHandleCall(parsing: stub).handle]
        switch (call.operation, object) {
        case (SamrOperation.queryInformationUser, .user(let relativeID)?),
            (SamrOperation.queryInformationUser2, .user(let relativeID)?):
            let level = try RPCQueryCall(parsing: stub).level
            guard let user = accounts.user(relativeID: relativeID) else {
                // It was taken away while the handle was open.
                writer.appendPointer(false)
                writer.append(NTStatus.noSuchUser)
                return nil
            }
            SamrUser(
                name: user.name, relativeID: relativeID, primaryGroup: Accounts.primaryGroupRelativeID
            ).answer(level: level, into: &writer)
        case (SamrOperation.getGroupsForUser, .user?):
            writer.append(groups: [Accounts.primaryGroupRelativeID])
            writer.append(NTStatus.success)
        case (SamrOperation.queryInformationGroup, .group?):
            SamrGroup(name: Accounts.primaryGroupName, members: UInt32(accounts.users.count), isAlias: false)
                .answer(level: try RPCQueryCall(parsing: stub).level, into: &writer)
        case (SamrOperation.getMembersInGroup, .group?):
            writer.append(members: accounts.users.map(\.relativeID))
            writer.append(NTStatus.success)
        case (SamrOperation.queryInformationAlias, .alias(let relativeID)?):
            let name = WellKnownAccounts.bySID[SID(5, [32, relativeID])]?.name ?? ""
            let count = self.members(of: relativeID, accounts).count
            SamrGroup(name: name, members: UInt32(count), isAlias: true)
                .answer(level: try RPCQueryCall(parsing: stub).level, into: &writer)
        case (SamrOperation.getMembersInAlias, .alias(let relativeID)?):
            writer.append(sids: self.members(of: relativeID, accounts))
            writer.append(NTStatus.success)
        default:
            return RPCFault.contextMismatch
        }
        return nil
    }

    private static func administrators(_ accounts: Accounts) -> [SID] {
        accounts.users
            .filter { $0.isAdministrator || $0.relativeID == Accounts.administratorRelativeID }
            .map { SID(5, accounts.sid.subAuthorities + [$0.relativeID]) }
    }

    private static func members(of alias: UInt32, _ accounts: Accounts) -> [SID] {
        switch alias {
        case 544: self.administrators(accounts)
        case 545: [SID(5, [4]), .authenticatedUsers]
        default: []
        }
    }
}
