import ClusterCore
import ClusterPlatform
import ClusterStore
import QuorumDisk
import Raft
import StateRecords

/// The shell of this node's side of the quorum disk.
extension Member {
    /// How long `clusterctl quorum replace` waits until the disk votes.
    private static let replacementTime = Duration.seconds(30)

    /// The disk in Raft's configuration is the one that this node works with, once it knows where that is.
    func reconcileQuorumDisk() {
        let number = self.raft.configuration.disk
        guard number != self.disk?.number else { return }
        if self.disk != nil {
            self.disk = nil
            self.quorumRoom = nil
            self.diskEvents = []
            self.quorumWorker.tell(.release)
        }
        guard let number, self.identityIsStored, let configuration = self.state?.configuration,
            let record = configuration.quorumDisks.record(number), let area = record.area(of: self.identity.id),
            let superblock = record.superblock(of: configuration.guid), area < superblock.layout.areaCount
        else { return }
        var limits = DiskVoterLimits()
        limits.electionTicks = UInt64(self.settings.electionMinimumMilliseconds)
        limits.heartbeatTicks = min(limits.heartbeatTicks, UInt64(self.settings.leaseMilliseconds) / 3)
        self.quorumWorker.tell(
            .use(
                number, lun: record.lun, nodeName: self.identity.name,
                node: UInt16(truncatingIfNeeded: self.identity.id)))
        self.diskLives += 1
        self.disk = DiskVoter(
            node: self.identity.id, number: number, area: area,
            incarnation: self.identity.incarnation << 16 | self.diskLives,
            superblock: superblock, memory: self.diskMemory, limits: limits, now: self.tick)
        self.stepDisk(.tick)
    }

    func stepDisk(_ event: DiskEvent) {
        // What is under way is still taken in: the voter must know how it ended.
        if case .tick = event, self.isDeaf { return }
        guard self.disk != nil else { return }
        self.diskEvents.append(event)
        self.drainDisk()
    }

    /// Not within a step of the Raft core, and not within itself: what either says to the other waits its turn.
    func drainDisk() {
        guard !self.isStepping, !self.isSteppingDisk else { return }
        self.isSteppingDisk = true
        defer { self.isSteppingDisk = false }
        while !self.diskEvents.isEmpty {
            let event = self.diskEvents.removeFirst()
            guard let effects = self.disk?.step(event, at: self.tick), let number = self.disk?.number else { continue }
            self.perform(effects, of: number)
        }
    }

    private func perform(_ effects: DiskEffects, of number: NodeID) {
        if let batch = effects.batch { self.quorumWorker.tell(.perform(number, batch)) }
        if let memory = effects.memory {
            self.diskMemory = memory
            self.store.submit(.quorumMemory(memory.encoded))
        }
        if let status = effects.status { self.tell(status) }
        for message in effects.messages { self.step(.receive(message)) }
        for event in effects.events {
            if case .diskVoted(let vote) = event, let bytes = effects.state {
                self.checkpointFound(bytes, vote)
            } else {
                self.step(event)
            }
        }
        if effects.wantsCheckpoint { self.sendSnapshot(to: number) }
    }

    private func tell(_ status: DiskStatus) {
        switch status {
        case .ready: self.logger.notice("the quorum disk can be used")
        case .unavailable: self.logger.warning("the quorum disk cannot be used at the moment: \(Self.text(status))")
        case .disabled: self.logger.critical("the quorum disk is given up: \(Self.text(status))")
        }
    }

    private static func text(_ status: DiskStatus) -> String {
        let replace = "replace it with 'clusterctl quorum replace URL'"
        return switch status {
        case .ready: "ready"
        case .unavailable(.starting): "not reached yet"
        case .unavailable(.noAnswer): "no answer from the target"
        case .unavailable(.areaUnreadable(let area)): "area \(area) cannot be read; if that stays so, \(replace)"
        case .unavailable(.logUnreadable(let area)): "the log in area \(area) is damaged; \(replace)"
        case .unavailable(.stateTooLong(let count)): "the cluster's state (\(count) bytes) does not fit a checkpoint"
        case .disabled(.otherDisk): "the LUN holds another quorum disk than the cluster's; \(replace)"
        case .disabled(.wentBack(let area)):
            "area \(area) is older than it was, the LUN was wiped or restored; \(replace)"
        case .disabled(.areaTaken): "another machine runs as this node, or an old copy of its state directory does"
        case .disabled(.ownAreaDamaged): "this node's area is damaged; \(replace)"
        }
    }

    func quorumDiskStatus(_ state: ClusterState) -> QuorumDiskStatus? {
        let disks = state.configuration.quorumDisks
        let membership = self.raft.configuration
        guard let number = membership.disk ?? (disks.wanted == 0 ? nil : disks.wanted) else { return nil }
        let role =
            if membership.disk != number { "joining" } else if number != disks.wanted { "leaving" } else {
                membership.isVoter(number) ? "voter" : "learner"
            }
        let lun = disks.record(number).flatMap { try? LUNAddress($0.lun) }.map { "\($0)" } ?? "unknown"
        let own = self.disk?.number == number ? self.disk?.status : nil
        let room = own == .ready ? self.quorumRoom : nil
        let hasNoArea = disks.record(number).map { $0.area(of: self.identity.id) == nil } ?? false
        return QuorumDiskStatus(
            lun: lun, role: role,
            state: hasNoArea
                ? "no area is left for this node: replace the disk"
                : (own.map(Self.text) ?? "not in use yet") + (room.map { "; \($0.text)" } ?? ""),
            isReady: own == .ready && room?.grade != .exceeded)
    }

    /// Every now and then: a state that grows is to be noticed while the disk can still be replaced.
    func lookAtQuorumRoom(_ now: ContinuousClock.Instant) {
        guard let disk = self.disk, let state = self.state else { return }
        guard self.quorumRoom == nil || now - self.lastRoomLook >= Limits.roomInterval else { return }
        self.lastRoomLook = now
        let room = CheckpointRoom(stateByteCount: state.estimatedByteCount(), in: disk.layout)
        if room.grade != self.quorumRoom?.grade ?? .enough { self.logger.warning("\(room.problem ?? room.text)") }
        self.quorumRoom = room
    }

    // MARK: The administrator

    func replaceQuorumDisk(_ lun: String, forces: Bool, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        guard !self.preparesQuorumDisk, !self.proposesQuorumDisk, self.quorumAnswer == nil else {
            return answer(
                .failed(AdminFailure(.unavailable, "another change of the quorum disk is under way: wait for it")))
        }
        if lun.isEmpty { return self.setQuorumDisk(nil, answer) }
        do throws(PlatformError) {
            let address = try LUNAddress(lun)
            if let data = try? LUNAddress(state.configuration.lun), data.isSame(as: address) {
                return answer(
                    .failed(
                        AdminFailure(.refused, "the quorum disk must be a LUN of its own, not the one with the files")))
            }
        } catch {
            return answer(.failed(AdminFailure(.refused, error.message)))
        }
        self.preparesQuorumDisk = true
        QuorumPreparation.run(
            QuorumPreparation.Order(
                lun: lun, cluster: state.configuration.guid, forces: forces,
                initiator: .ofNode(
                    UInt16(truncatingIfNeeded: self.identity.id), named: self.identity.name, role: .preparation),
                term: self.raft.term),
            loop: self.mailbox, answer)
    }

    /// Nothing is written on the LUN before this has said so. A disk loses what it holds only after its removal is
    /// committed (DiskRaftMembership.tla, WipeOnlyRemoved): the one that votes is taken out first, for which the others
    /// must be a majority.
    func quorumLUNFound(
        _ identity: DiskIdentity?, _ order: QuorumPreparation.Order, _ verdict: Mailbox<QuorumPreparation.Verdict>
    ) {
        guard self.raft.isEstablishedLeader, self.raft.term == order.term, let state = self.state else {
            return verdict.post(.refused(Self.failure(.unknown)))
        }
        let (disks, address) = (state.configuration.quorumDisks, try? LUNAddress(order.lun))
        func isOnLUN(_ record: QuorumDiskRecord) -> Bool {
            // Also one that the LUN does not show any more: its areas may be whole.
            identity == DiskIdentity(cluster: state.configuration.guid, disk: record.disk)
                || address.map { (try? LUNAddress(record.lun))?.isSame(as: $0) ?? false } ?? false
        }
        guard disks.records.contains(where: isOnLUN) else { return verdict.post(.mayLayOut(tookOut: false)) }
        guard self.raft.configurationIsCommitted else {
            return verdict.post(
                .refused(AdminFailure(.unavailable, "a change of the cluster's members is under way: try again")))
        }
        guard let present = disks.inUse(self.raft.configuration).first(where: isOnLUN) else {
            return verdict.post(.mayLayOut(tookOut: false))
        }
        guard self.raft.isMajorityHeard(without: present.number) else {
            return verdict.post(
                .refused(
                    AdminFailure(
                        .refused,
                        "the cluster's quorum disk is on this LUN, and would be taken out before it is laid out anew: "
                            + Self.failure(.majorityNotHeard).message)))
        }
        self.logger.notice("the quorum disk is taken out, for its LUN to be laid out anew")
        self.setQuorumDisk(nil) { [quorumWorker] reply in
            if case .failed(let failure) = reply { return verdict.post(.refused(failure)) }
            // What this node sent to it last must not land behind the new layout.
            quorumWorker.tell(.settle { verdict.post(.mayLayOut(tookOut: true)) })
        }
    }

    func quorumDiskPrepared(
        _ result: Result<QuorumDiskRecord, AdminFailure>, _ order: QuorumPreparation.Order,
        _ answer: @escaping AdminAnswer
    ) {
        self.preparesQuorumDisk = false
        switch result {
        case .failure(let failure): answer(.failed(failure))
        case .success(let record):
            // Another leader may have had another disk laid out meanwhile.
            guard self.raft.isLeader, self.raft.term == order.term else {
                return answer(.failed(Self.failure(.unknown)))
            }
            self.setQuorumDisk(record, answer)
        }
    }

    private func setQuorumDisk(_ record: QuorumDiskRecord?, _ answer: @escaping AdminAnswer) {
        self.proposesQuorumDisk = true
        self.propose(.setQuorumDisk(record)) { [weak self] outcome in
            guard let self else { return }
            self.proposesQuorumDisk = false
            switch outcome {
            case .applied(.refused(let refusal)): answer(.failed(AdminFailure(.refused, "\(refusal)")))
            case .applied:
                let wanted = self.state?.configuration.quorumDisks.wanted ?? 0
                self.quorumAnswer = (.now + Self.replacementTime, wanted, answer)
            case .dropped(let reason): answer(.failed(Self.failure(reason)))
            }
        }
    }

    /// The administrator wants to know when the disk votes, or is out.
    func lookAtQuorumAnswer(_ now: ContinuousClock.Instant) {
        guard let (deadline, number, answer) = self.quorumAnswer else { return }
        let membership = self.raft.configuration
        let isDone =
            self.raft.configurationIsCommitted
            && (number == 0 ? membership.disk == nil : membership.isVoter(number))
        if isDone {
            answer(.done(number == 0 ? "the cluster has no quorum disk any more" : "the quorum disk votes"))
        } else if now > deadline || !self.raft.isLeader {
            answer(
                .failed(
                    AdminFailure(
                        .unavailable,
                        "it is decided, but not done yet: it goes on by itself once a majority of the nodes is connected; "
                            + "'clusterctl quorum show' shows it")))
        } else {
            return
        }
        self.quorumAnswer = nil
    }
}
