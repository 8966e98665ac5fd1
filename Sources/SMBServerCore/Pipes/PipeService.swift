import SMB2Wire

/// The services behind named pipes, by the pipe's name. Each has a folder of its own with its calls.
package enum PipeService: String, Sendable, CaseIterable {
    case srvsvc
    case wkssvc
    case lsarpc
    case samr

    package var interface: RPCSyntax {
        switch self {
        case .srvsvc: .srvsvc
        case .wkssvc: .wkssvc
        case .lsarpc: .lsarpc
        case .samr: .samr
        }
    }

    /// Answers a call: the stub into `writer`, or the status of a fault.
    func answer(
        _ call: PipeCall, _ stub: RawSpan, _ server: borrowing ServerState, _ handles: inout ContextHandles,
        into writer: inout NDRWriter
    ) throws(WireError) -> UInt32? {
        switch self {
        case .srvsvc: try SrvsvcService.answer(call, stub, server, into: &writer)
        case .wkssvc: try WkssvcService.answer(call, stub, server, into: &writer)
        case .lsarpc: try LsarpcService.answer(call, stub, server, &handles, into: &writer)
        case .samr: try SamrService.answer(call, stub, server, &handles, into: &writer)
        }
    }
}

/// Which call, and who calls.
struct PipeCall {
    var operation: UInt16
    var caller: User
}
