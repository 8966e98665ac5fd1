import SMB2Wire

/// SMB2 OPLOCK_BREAK acknowledgement. [MS-SMB2] 2.2.24, 2.2.25, 3.3.5.22.
extension ServerState {
    mutating func oplockBreak(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let acknowledgement = try parsing { () throws(WireError) in try BreakAcknowledgement(parsing: message) }
        switch acknowledgement {
        case .oplock(let oplock): try self.acknowledge(oplock, &request).encode(into: &writer)
        case .lease(let lease): try self.acknowledge(lease, request).encode(into: &writer)
        }
        return self.reply(request, into: &writer)
    }

    /// 3.3.5.22.1. Whoever answers nonsense has lost the oplock all the same: others wait for it.
    private mutating func acknowledge(
        _ acknowledgement: OplockBreak, _ request: inout Request
    ) throws(SMBError) -> OplockBreak {
        let key = try self.findOpen(&request, acknowledgement.fileID)
        guard let open = self.opens[key], open.file != 0 else { throw SMBError(.fileClosed) }
        let owner = Oplocks.Owner.open(key)
        let level = acknowledgement.level
        guard level == .none || level == .levelII else {
            if self.files[open.file]?.oplocks.revoke(owner) == true { self.breakIsOver(owner, open.file) }
            throw SMBError(level == .lease ? .invalidParameter : .invalidOplockProtocol, "oplock level")
        }
        guard let holder = self.files[open.file]?.oplocks.holder(owner), let breaking = holder.breaking else {
            let holds = self.files[open.file]?.oplocks.holder(owner)?.state.contains(.writeCaching) == true
            throw SMBError(holds ? .invalidDeviceState : .invalidOplockProtocol, "no break of this oplock")
        }
        // What it was not left with it has not.
        let state = level.caching.intersection(breaking.to)
        try self.conclude(owner, state, open.file)
        return OplockBreak(level: OplockLevel(caching: state), fileID: open.fileID)
    }

    /// 3.3.5.22.2. The connection need not be the one that was told: the lease is the client's.
    private mutating func acknowledge(
        _ acknowledgement: LeaseBreakAcknowledgement, _ request: Request
    ) throws(SMBError) -> LeaseBreakAcknowledgement {
        guard let client = self.connections[request.connection]?.clientGUID else {
            throw SMBError(.connectionDisconnected)
        }
        let id = LeaseID(clientGUID: client, key: acknowledgement.leaseKey)
        let owner = Oplocks.Owner.lease(id)
        guard let file = self.leases[id], let holder = self.files[file]?.oplocks.holder(owner) else {
            throw SMBError(.objectNameNotFound, "no such lease")
        }
        for key in holder.opens where self.opens[key]?.isPersistent == false {
            self.opens[key]?.isReplayEligible = false
        }
        try self.conclude(owner, acknowledgement.state, file)
        // What it holds now: a break that follows is another matter.
        return LeaseBreakAcknowledgement(leaseKey: acknowledgement.leaseKey, state: acknowledgement.state)
    }

    private mutating func conclude(
        _ owner: Oplocks.Owner, _ state: LeaseState, _ file: UInt64
    ) throws(SMBError) {
        switch self.files[file]?.oplocks.acknowledge(owner, state, now: self.now) {
        case nil, .notBreaking?: throw SMBError(.unsuccessful, "no break of this lease")
        case .refused?: throw SMBError(.requestNotAccepted, "more than was left")
        case .accepted(let notices, let isOver)?:
            self.send(notices, of: file)
            if isOver { self.breakIsOver(owner, file) }
        }
    }

    private mutating func breakIsOver(_ owner: Oplocks.Owner, _ file: UInt64) {
        if let holder = self.files[file]?.oplocks.holder(owner) { self.persistCaching(of: holder) }
        self.wake(file)
    }
}
