import StateRecords

/// A server that was killed and does not go away: its call of the kernel (an fsync of gigabytes, a file system that hangs)
/// must be over before the next one is loaded, and nothing says that it ever is. Nobody serves meanwhile.
extension Takeover {
    package static let heldBackReason = "the smbserverd before it was killed and still sits in a call of the kernel"

    mutating func serverHeldBack(_ now: Moment) {
        guard self.phase == .serving, self.serverRestart != nil, self.heldBack == nil else { return }
        self.heldBack = now
        self.waitNoted = now
        self.directives.append(.log("the new smbserverd is held back: \(Self.heldBackReason)"))
        // Its flush has ended, and it waited for the new server.
        if let preparation = self.preparation, preparation.operation == 0 { self.endPreparation(preparation, now) }
    }

    /// First in order, so that what was acknowledged is not lost where the call only takes long; where the file system
    /// hangs the flush does, too, and the fence makes it safe to go without. Where no heir reaches the LUN a move would
    /// gain nothing.
    mutating func leaveTheHeldBack(_ now: Moment) {
        guard let since = self.heldBack, self.unreachable == nil else { return }
        let heir = self.reaching.first { $0 != self.node }
        switch self.phase {
        case .serving:
            guard let heir, now - since >= self.limits.heldBackTime else { return self.noteHeldBack(since, now) }
            let what = "server: the new one is held back and node \(heir) can serve: \(Self.heldBackReason)"
            self.recordFailure(what)
            self.directives.append(.log("moves the share away: \(what)"))
            self.preparation = nil
            self.beginMove(to: heir, now)
        case .moving(.flush):
            guard heir != nil, now - max(since, self.stepStart) >= self.limits.heldBackFlushTime else { return }
            self.leaveWithout("what was written cannot be brought to the LUN", now)
        case .moving(.server):
            guard now - max(since, self.stepStart) >= self.limits.heldBackEndTime else { return }
            self.leaveWithout("all that was written is on the LUN", now)
        case .standby, .elected, .taking, .moving, .clearing, .waiting, .handingOver, .witnessLeading: return
        }
    }

    private mutating func leaveWithout(_ state: String, _ now: Moment) {
        let what = "server: \(Self.heldBackReason); \(state)"
        self.lastFailure = what
        self.givesAway = true
        self.recordFailure(what)
        self.clear(what)
    }

    private mutating func recordFailure(_ what: String) {
        self.directives.append(
            .record(EventRecord(kind: .failure, node: self.node, term: self.term, detail: what)))
    }

    private mutating func noteHeldBack(_ since: Moment, _ now: Moment) {
        guard now - self.waitNoted >= self.limits.waitNote else { return }
        self.waitNoted = now
        self.directives.append(
            .log("nobody has served for \((now - since) / 1_000_000) s: \(Self.heldBackReason)"))
    }
}
