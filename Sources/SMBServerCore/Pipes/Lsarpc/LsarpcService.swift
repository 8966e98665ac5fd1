import SMB2Wire

/// The local security authority, [MS-LSAT] and [MS-LSAD], as far as names and SIDs need it: Explorer's security tab shows
/// names because of it. Nothing can be changed.
enum LsarpcService {
    static func answer(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, _ handles: inout ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        switch call.operation {
        case LsarOperation.close:
            return try handles.close(stub, into: &writer)
        case LsarOperation.openPolicy, LsarOperation.openPolicy2:
            _ = try LsarOpenPolicy(parsing: stub, hasName: call.operation == LsarOperation.openPolicy2)
            handles.open(.policy, into: &writer)
        case LsarOperation.queryInformationPolicy, LsarOperation.queryInformationPolicy2:
            let query = try RPCQueryCall(parsing: stub)
            guard handles[query.handle] == .policy else { return RPCFault.contextMismatch }
            self.query(query.level, server.accounts, into: &writer)
        case LsarOperation.enumerateAccounts, LsarOperation.enumerateTrustedDomains:
            guard handles[try RPCHandleCall(parsing: stub).handle] == .policy else { return RPCFault.contextMismatch }
            // Accounts with privileges are nobody's business ([MS-LSAD] 3.1.4.5.2); domains are trusted by none.
            let isAccounts = call.operation == LsarOperation.enumerateAccounts
            writer.append(UInt32(0))
            writer.append(UInt32(0))
            writer.appendPointer(false)
            writer.append(isAccounts ? NTStatus.accessDenied : .noMoreEntries)
        case LsarOperation.lookupNames, LsarOperation.lookupNames2, LsarOperation.lookupNames3:
            let lookup = try LsarLookupNames(parsing: stub)
            guard handles[lookup.handle] == .policy else { return RPCFault.contextMismatch }
            guard self.isKnown(level: lookup.level) else {
                LsarTranslation.refuse(.invalidParameter, into: &writer)
                return nil
            }
            let form: LsarTranslation.Form =
                switch call.operation {
                case LsarOperation.lookupNames: .sids
                case LsarOperation.lookupNames2: .sidsEx
                default: .sidsEx2
                }
            self.translate(lookup.names, server.accounts).answer(form, into: &writer)
        case LsarOperation.lookupSids, LsarOperation.lookupSids2:
            let lookup = try LsarLookupSids(parsing: stub)
            guard handles[lookup.handle] == .policy else { return RPCFault.contextMismatch }
            guard self.isKnown(level: lookup.level) else {
                LsarTranslation.refuse(.invalidParameter, into: &writer)
                return nil
            }
            self.translate(lookup.sids, server.accounts)
                .answer(call.operation == LsarOperation.lookupSids ? .names : .namesEx, into: &writer)
        case LsarOperation.lookupNames4, LsarOperation.lookupSids3:
            // [MS-LSAT] 3.1.4.5, 3.1.4.9: for the secure channel of a domain controller, and nobody else.
            return RPCFault.accessDenied
        case LsarOperation.getUserName:
            let query = try LsarGetUserName(parsing: stub)
            query.answer(user: call.caller.name, domain: server.configuration.serverName, into: &writer)
        default:
            return RPCFault.operationOutOfRange
        }
        return nil
    }

    /// LsapLookupWksta (1) to LsapLookupXForestResolve (6), [MS-LSAT] 2.2.16; without a domain they are one scope.
    private static func isKnown(level: UInt16) -> Bool { (1...6).contains(level) }

    private static func query(_ level: UInt16, _ accounts: Accounts, into writer: inout NDRWriter) {
        let information: LsarPolicyInformation
        switch level {
        case LsarPolicyInformation.primaryDomainLevel:
            information = .domain(level: level, name: WkssvcService.workgroup, sid: nil)
        case LsarPolicyInformation.accountDomainLevel, LsarPolicyInformation.localAccountDomainLevel:
            information = .domain(level: level, name: accounts.name, sid: accounts.sid)
        case LsarPolicyInformation.dnsDomainLevel, LsarPolicyInformation.dnsDomainIntLevel:
            information = .dnsDomain(level: level, name: WkssvcService.workgroup, sid: nil)
        case LsarPolicyInformation.serverRoleLevel:
            information = .serverRole
        default:
            writer.appendPointer(false)
            // [MS-LSAD] 3.1.4.4.4: the audit log's settings are an administrator's.
            writer.append(
                level == LsarPolicyInformation.auditEventsLevel ? NTStatus.accessDenied : .invalidParameter)
            return
        }
        information.answer(into: &writer)
    }

    private static func translate(_ sids: [SID], _ accounts: Accounts) -> LsarTranslation {
        var translation = LsarTranslation()
        for sid in sids {
            guard let account = accounts.find(sid) else {
                translation.entries.append(.init(use: .unknown, name: sid.description, sid: nil, domain: -1))
                continue
            }
            let domain = translation.index(of: account)
            translation.entries.append(.init(use: account.use, name: account.name, sid: sid, domain: domain))
        }
        return translation
    }

    private static func translate(_ names: [String], _ accounts: Accounts) -> LsarTranslation {
        var translation = LsarTranslation()
        for name in names {
            guard let account = accounts.find(name) else {
                translation.entries.append(.init(use: .unknown, name: name, sid: nil, domain: -1))
                continue
            }
            let domain = translation.index(of: account)
            translation.entries.append(.init(use: account.use, name: account.name, sid: account.sid, domain: domain))
        }
        return translation
    }
}

extension LsarTranslation {
    /// The account's domain among those referenced.
    fileprivate mutating func index(of account: Account) -> Int {
        if let index = self.domains.firstIndex(where: { $0.sid == account.domainSID }) { return index }
        self.domains.append(Domain(name: account.domain, sid: account.domainSID))
        return self.domains.count - 1
    }
}
