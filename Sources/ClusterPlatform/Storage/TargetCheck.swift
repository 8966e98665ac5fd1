import Fencing

/// Tries on a LUN what fencing needs. Harmless to data: every write writes what was there, and only to a LUN without any key;
/// the keys are scratch ones and gone at the end. Three initiators: one that is fenced, one that fences, and a stranger.
package enum TargetCheck {
    /// Node numbers that no node has, and a term that none ever had.
    static let fenced = FenceKey(node: 0xFFFE, term: 0)
    static let fencing = FenceKey(node: 0xFFFF, term: 0)

    /// Whether the key is one that a check left behind, which died in the middle.
    package static func isScratch(_ key: UInt64) -> Bool { key == Self.fenced.raw || key == Self.fencing.raw }

    package static func run(_ address: LUNAddress, timeout: Duration) throws(PlatformError) -> TargetFacts {
        let stranger = try Self.session(address, Self.fenced.node, .inspection, timeout)
        defer { stranger.logout() }
        var facts = TargetFacts()
        let description = try stranger.describe()
        facts.product = "\(description.vendor) \(description.product)"
        facts.blockSize = description.blockSize
        facts.byteCount = description.byteCount
        facts.isThin = description.isThin
        guard let state = try Self.reservations(stranger) else { return facts }
        facts.hasReservations = true
        facts.persistsReservations = try stranger.readCapabilities().persists
        facts.user = Self.user(state)
        guard facts.user == nil else { return facts }

        let fencing = try Self.session(address, Self.fencing.node, .fence, timeout)
        defer { fencing.logout() }
        try Self.clear(fencing)
        do throws(PlatformError) {
            try Self.tryAll(&facts, address, stranger, fencing, description, timeout)
        } catch {
            // The check's own failure counts, not that of tidying up after it.
            try? Self.clear(fencing)
            throw error
        }
        try Self.clear(fencing)
        return facts
    }

    /// Somebody who only asks.
    package static func asking(_ address: LUNAddress, timeout: Duration) throws(PlatformError) -> ISCSISession {
        try Self.session(address, Self.fenced.node, .inspection, timeout)
    }

    private static func session(
        _ address: LUNAddress, _ node: UInt16, _ role: ISID.Role, _ timeout: Duration
    ) throws(PlatformError) -> ISCSISession {
        // Two machines have two names. (LIO lets every session of a name write of which one is registered, measured.)
        let name = role == .fence && node == Self.fenced.node ? "check-fenced" : "check"
        return try ISCSISession(
            address, as: Initiator(name: "iqn.2026-01.io.holdfast:\(name)", isid: ISID(node: node, role: role)),
            timeout: timeout)
    }

    /// Nil where the target knows no reservations.
    private static func reservations(_ session: ISCSISession) throws(PlatformError) -> FenceState? {
        do { return try Fence.inspect(session) } catch {
            guard case .scsi(_, 5, _) = error.kind else { throw error }
            return nil
        }
    }

    private static func user(_ state: FenceState) -> String? {
        let keys = state.keys + (state.reservation.map { [$0.key] } ?? [])
        guard let key = keys.first(where: { !Self.isScratch($0) }) else { return nil }
        return FenceKey(raw: key).map { "a Holdfast cluster (\($0))" } ?? "another system (key \(keyText(key)))"
    }

    /// No key is left, where the only ones are scratch keys.
    private static func clear(_ session: ISCSISession) throws(PlatformError) {
        let state = try Fence.inspect(session)
        guard Self.user(state) == nil, !state.keys.isEmpty || state.reservation != nil else { return }
        try session.registerAndIgnoreExistingKey(Self.fencing.raw)
        try session.clear(Self.fencing.raw)
    }

    private static func tryAll(
        _ facts: inout TargetFacts, _ address: LUNAddress, _ stranger: ISCSISession, _ fencing: ISCSISession,
        _ description: LUNDescription, _ timeout: Duration
    ) throws(PlatformError) {
        facts.flushes = try fencing.exchangeCleared(.synchronizeCache16).status == 0
        let fenced = try Self.session(address, Self.fenced.node, .fence, timeout)
        defer { fenced.logout() }
        try fenced.registerAndIgnoreExistingKey(Self.fenced.raw)
        if facts.persistsReservations { facts.activatesPersistence = try fenced.readCapabilities().isActive }
        facts.tellsNexuses = try fenced.readFullStatus()?.contains { $0.key == Self.fenced.raw } ?? false
        facts.reserves = try Self.succeeds { () throws(PlatformError) in try fenced.reserve(Self.fenced.raw) }
        guard facts.reserves == true else { return }
        let block = description.blockCount - 1
        let data = try stranger.read(block: block, count: 1, blockSize: description.blockSize)
        let write = SCSICommand.write16(block: block, count: 1, blockSize: description.blockSize)
        facts.refusesWrites = try stranger.isRefused(write, data)
        facts.leaks = try Self.leaks(stranger, block, description.blockSize, data)

        let returned = try Self.returning(address, timeout)
        facts.keepsRegistrationAtLogin = returned.kept
        let victim = returned.session
        defer { victim.logout() }
        try victim.registerAndIgnoreExistingKey(Self.fenced.raw)
        try fencing.registerAndIgnoreExistingKey(Self.fencing.raw)
        facts.resetsLogicalUnit = try Self.succeeds { () throws(PlatformError) in
            try fencing.resetLogicalUnit()
            try fencing.testUnitReady()
        }
        let aborts = try Self.succeeds { () throws(PlatformError) in
            try fencing.preemptAndAbort(Self.fenced.raw, as: Self.fencing.raw)
        }
        facts.preemptsAndAborts = aborts
        if aborts {
            facts.preempts = true
        } else {
            facts.preempts = try Self.succeeds { () throws(PlatformError) in
                try fencing.preempt(Self.fenced.raw, as: Self.fencing.raw)
            }
        }
        facts.refusesPreempted = try victim.isRefused(write, data)
    }

    /// The initiator that is about to be fenced, logged in once more under its name and ISID.
    private static func returning(
        _ address: LUNAddress, _ timeout: Duration
    ) throws(PlatformError) -> (session: ISCSISession, kept: Bool) {
        let session = try Self.session(address, Self.fenced.node, .fence, timeout)
        // Only a registered nexus may replace its key.
        let kept = try Self.succeeds { () throws(PlatformError) in
            try session.register(Self.fenced.raw, replacing: Self.fenced.raw)
        }
        return (session, kept)
    }

    /// The names of the commands that change data and were not refused.
    private static func leaks(
        _ session: ISCSISession, _ block: UInt64, _ blockSize: UInt32, _ data: [UInt8]
    ) throws(PlatformError) -> [String] {
        let zeros = [UInt8](repeating: 0, count: data.count)
        let tries: [(name: String, command: SCSICommand, output: [UInt8])] = [
            ("WRITE SAME", .writeSame16(block: block, count: 1, blockSize: blockSize, unmap: false), data),
            ("UNMAP", .unmapNothing, SCSICommand.unmapNothingParameters),
            ("WRITE AND VERIFY", .writeAndVerify16(block: block, count: 1, blockSize: blockSize), data),
            ("ORWRITE", .orWrite16(block: block, count: 1, blockSize: blockSize), zeros),
            ("COMPARE AND WRITE", .compareAndWrite(block: block, blockSize: blockSize), data + data),
        ]
        var leaks: [String] = []
        for (name, command, output) in tries {
            let reply = try session.exchangeCleared(command, output: output)
            if reply.status == 0 { leaks.append(name) }
        }
        return leaks
    }

    /// False where the target refuses the command; throws where it does not answer.
    private static func succeeds(_ body: () throws(PlatformError) -> Void) throws(PlatformError) -> Bool {
        do {
            try body()
            return true
        } catch {
            switch error.kind {
            case .scsi, .conflict: return false
            default: throw error
            }
        }
    }
}

extension ISCSISession {
    /// One command past the unit attentions that stand before it, whatever its own status.
    fileprivate func exchangeCleared(
        _ command: SCSICommand, output: [UInt8] = []
    ) throws(PlatformError) -> Reply {
        for _ in 0..<Self.maximumUnitAttentions {
            let reply = try self.exchange(command, output: output)
            guard reply.status == Self.checkCondition, reply.senseKey == 6 else { return reply }
        }
        throw PlatformError(.conflict, "\(self.address): one unit attention after the other")
    }

    fileprivate func isRefused(_ command: SCSICommand, _ output: [UInt8]) throws(PlatformError) -> Bool {
        try self.exchangeCleared(command, output: output).status == Self.reservationConflict
    }
}
