import SMB2Wire

/// The server service, [MS-SRVS] 3.1.4: shares for everybody who is authenticated, what others do for administrators.
enum SrvsvcService {
    static func answer(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        switch call.operation {
        case SrvsvcOperation.netrShareEnum, SrvsvcOperation.netrShareEnumSticky:
            try NetrShareEnum(parsing: stub).answer(self.shares(server), into: &writer)
        case SrvsvcOperation.netrShareGetInfo:
            let query = try NetrShareGetInfo(parsing: stub)
            let share = server.shares[query.name.lowercased()]
            query.answer(share.map { self.describe($0) }, into: &writer)
        case SrvsvcOperation.netrServerGetInfo:
            try NetrServerGetInfo(parsing: stub).answer(self.information(server), into: &writer)
        case SrvsvcOperation.netrRemoteTOD:
            SrvsvcTimeOfDay(time: server.wallClock, milliseconds: UInt32(truncatingIfNeeded: server.now))
                .answer(into: &writer)
        case SrvsvcOperation.netrSessionEnum:
            try SrvsvcSessions.answerSessions(call, stub, server, into: &writer)
        case SrvsvcOperation.netrConnectionEnum:
            try SrvsvcSessions.answerConnections(call, stub, server, into: &writer)
        case SrvsvcOperation.netrFileEnum:
            try SrvsvcSessions.answerFiles(call, stub, server, into: &writer)
        case SrvsvcOperation.netrShareCheck:
            let check = try NetrShareCheck(parsing: stub)
            check.answer(
                self.shares(server).first { $0.path.lowercased() == check.device.lowercased() }, into: &writer)
        case SrvsvcOperation.netrFileClose, SrvsvcOperation.netrSessionDel, SrvsvcOperation.netrShareAdd,
            SrvsvcOperation.netrShareSetInfo, SrvsvcOperation.netrShareDel, SrvsvcOperation.netrShareDelSticky,
            SrvsvcOperation.netrServerSetInfo:
            // Nobody changes anything through a pipe: `clusterctl` does, for all nodes at once.
            SrvsvcRefusal.answer(call.operation, Win32Error.accessDenied, into: &writer)
        default:
            return RPCFault.operationOutOfRange
        }
        return nil
    }

    static func information(_ server: borrowing ServerState) -> SrvsvcServer {
        SrvsvcServer(
            name: server.configuration.serverName, comment: "Holdfast",
            maximumUsers: UInt32(clamping: server.configuration.limits[.sessions]))
    }

    private static func shares(_ server: borrowing ServerState) -> [SrvsvcShare] {
        server.shares.values.sorted { $0.name.lowercased() < $1.name.lowercased() }.map { self.describe($0) }
    }

    private static func describe(_ share: Share) -> SrvsvcShare {
        SrvsvcShare(
            name: share.name, type: share.isPipes ? SrvsvcShare.ipc | SrvsvcShare.special : SrvsvcShare.diskTree,
            comment: share.comment, path: share.isPipes ? "" : "C:\\\(share.name)",
            // SHI1005_FLAGS_ACCESS_BASED_DIRECTORY_ENUM, [MS-SRVS] 2.2.4.29.
            flags: share.isAccessBased ? 0x0800 : 0)
    }
}
