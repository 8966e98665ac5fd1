import SMB2Wire

/// Names a lease: the key is the client's, and another client may choose the same one. [MS-SMB2] 3.3.1.11.
package struct LeaseID: Hashable, Sendable {
    package var clientGUID: GUID
    package var key: GUID

    package init(clientGUID: GUID, key: GUID) {
        self.clientGUID = clientGUID
        self.key = key
    }
}

/// What a lease has beyond its state. [MS-SMB2] 3.3.1.12.
package struct Lease: Equatable, Sendable {
    package let id: LeaseID
    /// 1 or 2: that of the request which made it, whatever later ones look like.
    package let version: UInt8
    /// Counts the changes of the state; means nothing in version 1.
    package var epoch: UInt16
    package let parentKey: GUID?

    /// The lease on the directory.
    package var parent: LeaseID? { self.parentKey.map { LeaseID(clientGUID: self.id.clientGUID, key: $0) } }

    package init(id: LeaseID, version: UInt8, epoch: UInt16, parentKey: GUID?) {
        self.id = id
        self.version = version
        self.epoch = epoch
        self.parentKey = parentKey
    }
}

/// The caching that clients were granted on one stream of one file. A value that is told what is about to happen to the
/// file, and says who must be told to cache less and whether it must wait for that. Oplocks are seen as leases of one open:
/// level II is R, exclusive RW, batch RWH. [MS-FSA] 2.1.1.10, 2.1.4.12, 2.1.5.17, 2.1.5.18; [MS-SMB2] 3.3.4.6, 3.3.4.7.
package struct Oplocks: Sendable {
    /// Who caches: one open by an oplock, or all opens of a client that share a lease key.
    package enum Owner: Hashable, Sendable {
        case open(UInt64)
        case lease(LeaseID)
    }

    package struct Holder: Sendable {
        package let owner: Owner
        /// What the client may cache until it has acknowledged a break.
        package fileprivate(set) var state: LeaseState
        /// Keys in the table of opens, the oldest first.
        package fileprivate(set) var opens: [UInt64]
        /// Nil for an oplock.
        package fileprivate(set) var lease: Lease?
        package fileprivate(set) var breaking: Breaking?

        /// An oplock knows no handle caching without write caching: what is left of it is level II or nothing.
        fileprivate func left(_ state: LeaseState) -> LeaseState {
            guard state.contains(.readCaching) else { return [] }
            return self.lease == nil ? .readCaching : state
        }

        /// As it is when its client hears nothing more of the break that is under way. Whoever waits for it asks again,
        /// and the client holds what it held; but what was done without waiting stays done, and the client learns that by
        /// an epoch which is newer than any that it may have heard.
        package var withoutBreak: Holder {
            var holder = self
            guard let breaking = holder.breaking.take(), !breaking.lost.isEmpty else { return holder }
            holder.state = self.left(self.state.subtracting(breaking.lost))
            if breaking.isUntold { holder.lease?.epoch &+= 1 }
            if breaking.channel != nil { holder.lease?.epoch &+= 1 }
            return holder
        }
    }

    /// A break that the client was asked to acknowledge.
    package struct Breaking: Equatable, Sendable {
        /// What the client was told.
        package var to: LeaseState
        /// What it must come down to in the end: others came meanwhile.
        package var required: LeaseState
        /// What was taken without waiting: the file is another one by now, whether the client hears of it or not.
        package var lost: LeaseState
        /// When its silence is taken for consent, in the shell's milliseconds.
        package var deadline: UInt64
        /// No connection leads to the client: it is told when it is back.
        package var isUntold = false
        /// The connection over which it, or the one that it goes on from, was told last.
        package var channel: UInt64?
    }

    /// What is about to happen to the file. [MS-FSA] 2.1.4.12.
    package enum Operation: Equatable, Sendable {
        /// An open that all others share.
        case open(AccessMask, overwrites: Bool)
        /// An open that another open does not share. "OPEN_BREAK_H".
        case conflictingOpen
        /// Its bytes, its length or its locks change; of a directory: what it lists.
        case change
        /// It gets another name, or goes.
        case rename
    }

    /// What a client is to be told.
    package struct Notice: Equatable, Sendable {
        package var owner: Owner
        package var from: LeaseState
        package var to: LeaseState
        package var needsAcknowledgement: Bool

        package init(owner: Owner, from: LeaseState, to: LeaseState, needsAcknowledgement: Bool) {
            self.owner = owner
            self.from = from
            self.to = to
            self.needsAcknowledgement = needsAcknowledgement
        }
    }

    package struct Check: Equatable, Sendable {
        package var notices: [Notice] = []
        /// Who is told nothing now, because a break is under way, and has lost more than its records say.
        package var losers: [Owner] = []
        /// The operation must wait until somebody has acknowledged, closed or run out of time.
        package var mustWait = false

        package init() {}
    }

    package private(set) var holders: [Holder] = []

    package init() {}

    package var isEmpty: Bool { self.holders.isEmpty }
    package var isBreaking: Bool { self.holders.contains { $0.breaking != nil } }

    package func holder(_ owner: Owner) -> Holder? { self.holders.first { $0.owner == owner } }

    package func holder(of open: UInt64) -> Holder? { self.holders.first { $0.opens.contains(open) } }

    private func index(_ owner: Owner) -> Int? { self.holders.firstIndex { $0.owner == owner } }

    // MARK: Granting, [MS-FSA] 2.1.5.17.1, 2.1.5.17.2

    /// What an open asks for.
    package struct Request: Sendable {
        package var owner: Owner
        package var open: UInt64
        package var state: LeaseState
        /// Nil for an oplock. Its epoch is the client's.
        package var lease: Lease?
        /// The stream has other opens that do more than look at attributes: to read the security descriptor is more here, though it
        /// breaks no lease that is there already.
        package var hasOtherOpens: Bool
        /// Another open has locked ranges of what it holds.
        package var hasOtherLocks: Bool
        package var isDirectory: Bool

        package init(
            owner: Owner, open: UInt64, state: LeaseState, lease: Lease?, hasOtherOpens: Bool = false,
            hasOtherLocks: Bool = false, isDirectory: Bool = false
        ) {
            self.owner = owner
            self.open = open
            self.state = state
            self.lease = lease
            self.hasOtherOpens = hasOtherOpens
            self.hasOtherLocks = hasOtherLocks
            self.isDirectory = isDirectory
        }
    }

    /// Grants as much of what is asked for as can be granted without taking anything from anybody.
    package mutating func grant(_ request: Request) {
        var request = request
        // Nobody writes to a directory.
        if request.isDirectory { request.state.remove(.writeCaching) }
        let allowed = self.allowed(request)
        if let index = self.index(request.owner) {
            self.holders[index].opens.append(request.open)
            // [MS-SMB2] 3.3.5.9.8: a lease is never taken down by an open, and taken up only to all that is asked for.
            let held = self.holders[index].state
            guard self.holders[index].breaking == nil, request.state.isStrictSuperset(of: held),
                allowed == request.state
            else { return }
            self.holders[index].state = allowed
            self.holders[index].lease?.epoch &+= 1
            return
        }
        guard self.holders.count < Limits.cachingHoldersPerFile else { return }
        guard var lease = request.lease else {
            guard !allowed.isEmpty else { return }
            self.holders.append(Holder(owner: request.owner, state: allowed, opens: [request.open]))
            return
        }
        // The epoch counts changes of what the client caches: that it caches nothing is none.
        if !allowed.isEmpty { lease.epoch &+= 1 }
        self.holders.append(Holder(owner: request.owner, state: allowed, opens: [request.open], lease: lease))
    }

    private func allowed(_ request: Request) -> LeaseState {
        let isLease = request.lease != nil
        guard request.state.contains(.readCaching), !request.hasOtherLocks else { return [] }
        var state = request.state.intersection(.all)
        if request.hasOtherOpens { state = isLease ? state.subtracting(.writeCaching) : .readCaching }
        for other in self.holders where other.owner != request.owner && !other.state.isEmpty {
            // It was not broken: this open only looks at attributes.
            if other.state.contains(.writeCaching) { return [] }
            state.remove(.writeCaching)
            switch (isLease, other.lease != nil) {
            case (true, true): break
            case (true, false): state.remove(.handleCaching)
            case (false, true):
                // Handle caching by a lease and an oplock of any level exclude each other.
                if other.state.contains(.handleCaching) { return [] }
                state = .readCaching
            case (false, false): state = .readCaching
            }
        }
        return state
    }

    /// Puts back what the records of a server before this one say.
    package mutating func restore(_ owner: Owner, open: UInt64, state: LeaseState, lease: Lease?) {
        if let index = self.index(owner) {
            self.holders[index].opens.append(open)
            return
        }
        guard lease != nil || !state.isEmpty else { return }
        self.holders.append(Holder(owner: owner, state: state, opens: [open], lease: lease))
    }

    // MARK: Breaking, [MS-FSA] 2.1.4.12

    private static let attributesOnly: AccessMask = [.readAttributes, .writeAttributes, .synchronize]

    /// Whether such an open leaves everybody's caching alone. Reading the security descriptor disturbs oplocks only.
    package static func isHarmless(_ access: AccessMask, toLease: Bool) -> Bool {
        access.subtracting(self.attributesOnly).subtracting(toLease ? .readControl : []).isEmpty
    }

    /// - Parameters:
    ///   - owner: who does it; its own lease is not in its way. Nil: somebody who caches nothing.
    ///   - now: the shell's milliseconds.
    package mutating func check(_ operation: Operation, by owner: Owner?, now: UInt64) -> Check {
        var check = Check()
        // An oplock that was broken to none is none; a lease stays, and may be taken up again.
        self.holders.removeAll { $0.lease == nil && $0.state.isEmpty }
        for index in self.holders.indices {
            let holder = self.holders[index]
            let taken: LeaseState
            let awaited: LeaseState
            switch operation {
            case .open(let access, let overwrites):
                guard holder.owner != owner else { continue }
                guard overwrites || !Self.isHarmless(access, toLease: holder.lease != nil) else { continue }
                taken = overwrites ? .all : .writeCaching
                awaited = .writeCaching
            case .conflictingOpen, .rename:
                guard holder.owner != owner else { continue }
                taken = .handleCaching
                awaited = .handleCaching
            case .change:
                // Level II is lost by the holder's own changes too; a lease is not.
                guard holder.owner != owner || (holder.lease == nil && !holder.state.contains(.writeCaching)) else {
                    continue
                }
                taken = .all
                awaited = []
            }
            guard !holder.state.isDisjoint(with: taken) else { continue }
            let target = holder.left(holder.state.subtracting(taken))
            let waits = !holder.state.isDisjoint(with: awaited)
            if waits { check.mustWait = true }
            let lost = waits ? [] : holder.state.intersection(taken)
            if let breaking = holder.breaking {
                // One break at a time: the next begins when this one is acknowledged.
                self.holders[index].breaking?.required.formIntersection(target)
                guard !lost.isSubset(of: breaking.lost) else { continue }
                self.holders[index].breaking?.lost.formUnion(lost)
                check.losers.append(holder.owner)
                continue
            }
            self.holders[index].lease?.epoch &+= 1
            let breaking = Breaking(to: target, required: target, lost: lost, deadline: now &+ Limits.breakMilliseconds)
            check.notices.append(self.begin(index, breaking))
        }
        return check
    }

    private mutating func begin(_ index: Int, _ breaking: Breaking) -> Notice {
        let from = self.holders[index].state
        // Read caching is given up without a word.
        let needsAcknowledgement = from != .readCaching
        if needsAcknowledgement {
            self.holders[index].breaking = breaking
        } else {
            self.holders[index].breaking = nil
            self.holders[index].state = breaking.to
        }
        return Notice(
            owner: self.holders[index].owner, from: from, to: breaking.to, needsAcknowledgement: needsAcknowledgement)
    }

    // MARK: What follows a break

    package enum Acknowledgement: Equatable, Sendable {
        case notBreaking
        /// More than the client was left with.
        case refused
        /// The break is over, unless another one follows it at once.
        case accepted([Notice], isOver: Bool)
    }

    /// [MS-FSA] 2.1.5.18, [MS-SMB2] 3.3.5.22.
    package mutating func acknowledge(_ owner: Owner, _ state: LeaseState, now: UInt64) -> Acknowledgement {
        guard let index = self.index(owner), var breaking = self.holders[index].breaking else { return .notBreaking }
        guard state.isSubset(of: breaking.to) else { return .refused }
        self.holders[index].state = self.holders[index].left(state)
        self.holders[index].breaking = nil
        var notices: [Notice] = []
        while true {
            let held = self.holders[index].state
            guard !held.isSubset(of: breaking.required) else { return .accepted(notices, isOver: true) }
            // Others came while it was under way. As Windows does: handle caching goes before read caching.
            breaking.to =
                held.contains(.handleCaching)
                ? self.holders[index].left(held.subtracting(.handleCaching)) : breaking.required
            breaking.isUntold = false
            breaking.deadline = now &+ Limits.breakMilliseconds
            notices.append(self.begin(index, breaking))
            if self.holders[index].breaking != nil { return .accepted(notices, isOver: false) }
        }
    }

    /// Ends a break without the client: it may cache nothing from now on. False: there is none.
    package mutating func revoke(_ owner: Owner) -> Bool {
        guard let index = self.index(owner), self.holders[index].breaking != nil else { return false }
        self.holders[index].breaking = nil
        self.holders[index].state = []
        self.holders[index].lease?.epoch &+= 1
        return true
    }

    /// The client could not be told of the break: that it has another epoch by then it will hear with it.
    package mutating func markUntold(_ owner: Owner) {
        guard let index = self.index(owner), self.holders[index].breaking?.isUntold == false else { return }
        self.holders[index].breaking?.isUntold = true
        self.holders[index].lease?.epoch &-= 1
    }

    /// The client was told of the break over this connection.
    package mutating func markTold(_ owner: Owner, over channel: UInt64) {
        guard let index = self.index(owner) else { return }
        self.holders[index].breaking?.channel = channel
    }

    /// What was told over a connection that ended, or from which nothing comes: to be told again.
    package func told(over channel: UInt64) -> [Notice] {
        self.holders.compactMap { holder in
            guard let breaking = holder.breaking, breaking.channel == channel, !breaking.isUntold else { return nil }
            return Notice(owner: holder.owner, from: holder.state, to: breaking.to, needsAcknowledgement: true)
        }
    }

    /// The client of an untold break is back: what to tell it, and its time runs from now on.
    package mutating func tell(_ owner: Owner, now: UInt64) -> Notice? {
        guard let index = self.index(owner), var breaking = self.holders[index].breaking, breaking.isUntold else {
            return nil
        }
        self.holders[index].lease?.epoch &+= 1
        breaking.isUntold = false
        breaking.deadline = now &+ Limits.breakMilliseconds
        return self.begin(index, breaking)
    }

    /// A client comes back to the first of a lease's persistent opens and says which epoch it knows. With Windows a lease without
    /// handle caching is granted anew then, which goes on from there: R by a change, RW and none without one. Never less than
    /// what is known here, for changes that the client was not told of. It need not be kept on stable storage: whoever comes back
    /// once more says again what it knows.
    package mutating func reestablish(_ owner: Owner, after epoch: UInt16) {
        guard let index = self.index(owner), let lease = self.holders[index].lease, lease.version == 2,
            !self.holders[index].state.contains(.handleCaching)
        else { return }
        let next = self.holders[index].state == .readCaching ? epoch &+ 1 : epoch
        if Int16(bitPattern: next &- lease.epoch) > 0 { self.holders[index].lease?.epoch = next }
    }

    /// What a holder caches ends without anybody being told.
    package mutating func lose(_ owner: Owner) {
        guard let index = self.index(owner) else { return }
        self.holders[index].breaking = nil
        self.holders[index].state = []
        self.holders[index].lease?.epoch &+= 1
    }

    /// The client of an untold break did not come back in time: what it caches stays protected, but for what it has lost
    /// already.
    package mutating func forgetBreak(_ owner: Owner) {
        guard let index = self.index(owner) else { return }
        self.holders[index] = self.holders[index].withoutBreak
    }

    /// The holders whose time to acknowledge is over.
    package func overdue(now: UInt64) -> [Holder] {
        self.holders.filter { ($0.breaking?.deadline ?? .max) <= now }
    }

    /// An open is closed. Returns its holder when that was its last open: it holds nothing any more.
    package mutating func remove(open: UInt64) -> Holder? {
        guard let index = self.holders.firstIndex(where: { $0.opens.contains(open) }) else { return nil }
        self.holders[index].opens.removeAll { $0 == open }
        guard self.holders[index].opens.isEmpty else { return nil }
        return self.holders.remove(at: index)
    }
}

extension LeaseState {
    package static let all: LeaseState = [.readCaching, .handleCaching, .writeCaching]
}

extension OplockLevel {
    /// What an oplock of this level caches; nothing for others.
    package var caching: LeaseState {
        switch self {
        case .levelII: .readCaching
        case .exclusive: [.readCaching, .writeCaching]
        case .batch: .all
        default: []
        }
    }

    /// The level that caches this.
    package init(caching state: LeaseState) {
        switch state {
        case .all: self = .batch
        case [.readCaching, .writeCaching]: self = .exclusive
        case []: self = .none
        default: self = .levelII
        }
    }
}
