import SMB2Wire

/// SMB2 IOCTL. [MS-SMB2] 2.2.31, 2.2.32, 3.3.5.15. Here: the codes that concern the connection. Those of files and pipes:
/// FileControl.swift.
extension ServerState {
    mutating func ioctl(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let ioctl = try parsing { () throws(WireError) in try IoctlRequest(parsing: message) }
        let maximum = self.connections[request.connection]?.maximumTransfer ?? 0
        guard ioctl.isFSCTL else { throw SMBError(.notSupported, "no FSCTL") }
        guard ioctl.input.count <= maximum, Int(ioctl.maximumOutputResponse) <= maximum,
            Int(ioctl.maximumInputResponse) <= maximum
        else { throw SMBError(.invalidParameter, "IOCTL sizes") }
        try self.checkCharge(
            request,
            payload: max(
                ioctl.input.count, Int(ioctl.maximumOutputResponse) + Int(ioctl.maximumInputResponse)))
        if ioctl.code.concernsNoFile, ioctl.fileID != .related {
            throw SMBError(.invalidParameter, "a file's id where none belongs")
        }
        switch ioctl.code {
        case .validateNegotiateInfo:
            return try self.validateNegotiate(ioctl, message.extracting(ioctl.input), request, into: &writer)
        case .queryNetworkInterfaceInfo:
            return try self.queryInterfaces(ioctl, request, into: &writer)
        case .dfsGetReferrals, .dfsGetReferralsEx:
            // 3.3.5.15.2: no DFS here.
            throw SMBError(.notFound)
        default:
            return try self.fileControl(ioctl, message, &request, into: &writer)
        }
    }

    /// 3.3.5.15.12. An answer that the client could not trust is not given: somebody changed the negotiation.
    private func validateNegotiate(
        _ ioctl: IoctlRequest, _ input: RawSpan, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard let connection = self.connections[request.connection], connection.dialect < .smb311 else {
            return .disconnect("VALIDATE_NEGOTIATE_INFO in 3.1.1")
        }
        guard Int(ioctl.maximumOutputResponse) >= ValidateNegotiateInfoResponse.byteCount else {
            return .disconnect("VALIDATE_NEGOTIATE_INFO without room for its answer")
        }
        let seen: ValidateNegotiateInfoRequest
        do throws(WireError) { seen = try ValidateNegotiateInfoRequest(parsing: input) } catch {
            return .disconnect("VALIDATE_NEGOTIATE_INFO: \(error)")
        }
        guard seen.clientGUID == connection.clientGUID, seen.capabilities == connection.clientCapabilities,
            seen.securityMode == connection.clientSecurityMode, seen.dialects == connection.clientDialects
        else { return .disconnect("the negotiation was tampered with") }
        var answer = WireWriter(capacity: ValidateNegotiateInfoResponse.byteCount)
        ValidateNegotiateInfoResponse(
            capabilities: connection.serverCapabilities, serverGUID: GUID(self.configuration.serverGUID),
            securityMode: connection.serverSecurityMode, dialect: connection.dialect
        ).encode(into: &answer)
        IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
        return self.reply(request, into: &writer)
    }

    /// 3.3.5.15.11. Only the address at which the client has reached the server: in a cluster that is the one which moves
    /// with the shares, while the nodes' own addresses lead to a node that may no longer serve.
    private func queryInterfaces(
        _ ioctl: IoctlRequest, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        guard request.dialect >= .smb30 else { throw SMBError(.invalidDeviceRequest) }
        let address = self.connections[request.connection]?.client.serverAddress
        let reached = self.networkInterfaces.filter { $0.address == address }
        guard !reached.isEmpty else { throw SMBError(.notSupported, "the address is on no interface") }
        let size = reached.count * NetworkInterfaceInfo.byteCount
        guard size <= Int(ioctl.maximumOutputResponse) else { throw SMBError(.bufferTooSmall) }
        var answer = WireWriter(capacity: size + 8)
        NetworkInterfaceInfo.encode(reached, into: &answer)
        IoctlResponse(code: ioctl.code, fileID: ioctl.fileID).encode(into: &writer, output: answer.span)
        return self.reply(request, into: &writer)
    }
}
