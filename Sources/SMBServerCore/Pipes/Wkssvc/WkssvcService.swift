import SMB2Wire

/// The workstation service, [MS-WKST] 3.2.4: whose name and version clients ask for.
enum WkssvcService {
    /// Without a domain every Windows machine is in this.
    static let workgroup = "WORKGROUP"

    static func answer(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        switch call.operation {
        case WkssvcOperation.netrWkstaGetInfo:
            // Nobody works at this machine; who is connected, the server service tells those who may know.
            try NetrWkstaGetInfo(parsing: stub).answer(
                SrvsvcService.information(server), workgroup: self.workgroup, loggedOnUsers: 0, into: &writer)
            return nil
        case WkssvcOperation.netrWkstaUserEnum:
            return RPCFault.accessDenied
        default:
            return RPCFault.operationOutOfRange
        }
    }
}
