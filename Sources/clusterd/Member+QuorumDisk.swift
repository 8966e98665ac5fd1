import ClusterCore
import ClusterPlatform
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
            guard let bytes = effects.state else {
                self.step(event)
                continue
            }
            let state: ClusterState
            do throws(RecordError) { state = try ClusterState(decoding: bytes) } catch {
                if case .newer(let version) = error {
                    self.cannotGoOn(.tooNew(version, from: 0, program: self.options.versions))
                } else {
                    self.logger.error("the checkpoint on the quorum disk cannot be read: \(error)")
                }
                continue
            }
            if let problem = self.options.versions.problem(with: state) {
                self.cannotGoOn(problem)
                continue
            }
            // Taken by the step where it installs the checkpoint.
            self.incoming = state
            self.step(event)
            self.incoming = nil
        }
        if effects.wantsCheckpoint, let state = self.state, let snapshot = self.raft.snapshot(at: state.appliedIndex) {
            self.diskEvents.append(.checkpoint(snapshot, state: state.encoded, term: self.raft.term))
        }
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
        let hasNoArea = disks.record(number).map { $0.area(of: self.identity.id) == nil } ?? false
        return QuorumDiskStatus(
            lun: lun, role: role,
            state: hasNoArea
                ? "no area is left for this node: replace the disk" : own.map(Self.text) ?? "not in use yet",
            isReady: own == .ready)
    }

    // MARK: The administrator

    func replaceQuorumDisk(_ lun: String, forces: Bool, _ state: ClusterState, _ answer: @escaping AdminAnswer) {
        guard self.quorumAnswer == nil else {
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
        self.quorumWorker.tell(
            .prepare(
                lun: lun, cluster: state.configuration.guid, forces: forces, nodeName: self.identity.name,
                node: UInt16(truncatingIfNeeded: self.identity.id), answer))
    }

    func quorumDiskPrepared(_ result: Result<QuorumDiskRecord, PlatformError>, _ answer: @escaping AdminAnswer) {
        switch result {
        case .failure(let error): answer(.failed(AdminFailure(.storage, error.message)))
        case .success(let record): self.setQuorumDisk(record, answer)
        }
    }

    private func setQuorumDisk(_ record: QuorumDiskRecord?, _ answer: @escaping AdminAnswer) {
        self.propose(.setQuorumDisk(record)) { [weak self] outcome in
            guard let self else { return }
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
