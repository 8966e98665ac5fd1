import ClusterCore

/// SIGSTOP of lunbridge or smbserverd alone: what it is told and asked waits, what it sent to the target goes on. clusterd asks
/// both whether they are there, and replaces one that does not answer.
extension TakeoverSimulation {
    enum Child: CaseIterable {
        case bridge, server

        /// `Attachment.bridgeSilenceLimit` and that of clusterd's server worker.
        var patience: UInt64 { self == .bridge ? 12_000_000 : 5_000_000 }
    }

    struct Hang {
        var id: UInt64
        var deferred: [Happening] = []
    }

    /// Half an election time-out, one, three and ten.
    static let hangs: [UInt64] = [800_000, 1_600_000, 5_000_000, 16_000_000]

    mutating func hang(_ i: Int, _ child: Child) {
        guard self.nodes[i].isUp, !self.nodes[i].isHung(child) else { return }
        let id = self.newID()
        self.trace.note(self.time, child == .bridge ? "bridge hangs" : "server hangs", self.nodes[i].id)
        switch child {
        case .bridge:
            guard let bridge = self.nodes[i].bridge, bridge.mode != .dead else { return }
            self.nodes[i].hungBridge = Hang(id: id)
        case .server: self.nodes[i].hungServer = Hang(id: id)
        }
        self.hangs += 1
        let length = Self.hangs[self.random.below(Self.hangs.count)]
        self.schedule(.childResumes(self.life(i), child, id: id), after: length, 100_000)
        self.schedule(.childMissed(self.life(i), child, id: id), after: child.patience, 1_000_000)
    }

    /// `id`: of the hang that is over; nil: whichever it is.
    mutating func resumeChild(_ i: Int, _ child: Child, _ id: UInt64?) {
        guard let hang = self.nodes[i].hang(of: child), id == nil || hang.id == id else { return }
        self.trace.note(self.time, "child resumes", self.nodes[i].id)
        self.nodes[i].endHang(of: child)
        for happening in hang.deferred { self.schedule(happening, after: 0, 200) }
    }

    /// It is killed: what waited for it is nobody's.
    mutating func giveUpChild(_ i: Int, _ child: Child, _ id: UInt64) {
        guard self.nodes[i].hang(of: child)?.id == id else { return }
        self.nodes[i].endHang(of: child)
        switch child {
        case .bridge: self.killBridge(i)
        case .server:
            let server = self.nodes[i].server
            // One that is silent is ended with the rest of the teardown; one that was warming up begins anew.
            guard server.state != .silent else { return }
            if server.isUsed { return self.killServer(i) }
            self.endServer(i)
            self.startServer(i)
            if server.serve != nil { self.report(i, .serverExited("signal 9")) }
        }
    }
}

extension TakeoverSimulation.Node {
    func hang(of child: TakeoverSimulation.Child) -> TakeoverSimulation.Hang? {
        child == .bridge ? self.hungBridge : self.hungServer
    }

    func isHung(_ child: TakeoverSimulation.Child) -> Bool { self.hang(of: child) != nil }

    mutating func wait(for child: TakeoverSimulation.Child, _ happening: TakeoverSimulation.Happening) {
        switch child {
        case .bridge: self.hungBridge?.deferred.append(happening)
        case .server: self.hungServer?.deferred.append(happening)
        }
    }

    mutating func endHang(of child: TakeoverSimulation.Child) {
        switch child {
        case .bridge: self.hungBridge = nil
        case .server: self.hungServer = nil
        }
    }
}
