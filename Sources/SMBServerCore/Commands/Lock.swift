import SMB2Wire

/// SMB2 LOCK. [MS-SMB2] 2.2.26, 2.2.27, 3.3.5.14.
extension ServerState {
    mutating func lock(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let lock = try parsing { () throws(WireError) in try LockRequest(parsing: message) }
        let key = try self.findOpen(&request, lock.fileID)
        guard let open = self.opens[key], open.handle != nil else { throw SMBError(.fileClosed) }
        guard !open.isDirectory else { throw SMBError(.invalidParameter, "LOCK on a directory") }
        guard !open.grantedAccess.isDisjoint(with: [.readData, .writeData]) else { throw SMBError(.accessDenied) }
        if self.checksLockSequences(open, request.connection) {
            if open.lockSequences.isReplay(index: lock.sequenceIndex, number: lock.sequenceNumber) {
                // Carried out, but perhaps not on the disks yet: it was never answered.
                self.mutationsAwaited = true
                LockResponse().encode(into: &writer)
                return self.reply(request, into: &writer)
            }
            self.opens[key]?.lockSequences.begin(index: lock.sequenceIndex)
        }
        if lock.locks[0].flags == .unlock {
            try self.unlock(lock.locks, key)
        } else if let outcome = try self.lock(lock, key, request, into: &writer) {
            return outcome
        }
        self.lockSucceeded(
            key, index: lock.sequenceIndex, number: lock.sequenceNumber, over: request.connection)
        LockResponse().encode(into: &writer)
        return self.reply(request, into: &writer)
    }

    /// 3.3.5.14, 3.3.5.14.1, 3.3.5.14.2: whether the client may send a LOCK again that was carried out: after it came back for
    /// the handle, or over another channel.
    private func checksLockSequences(_ open: Open, _ connection: Connection.ID) -> Bool {
        guard let connection = self.connections[connection], connection.dialect != .smb202 else { return false }
        return open.survivesDisconnect || connection.serverCapabilities.contains(.multiChannel)
    }

    /// The ranges and the sequence are on stable storage before the answer leaves.
    private mutating func lockSucceeded(
        _ key: UInt64, index: UInt32, number: UInt8, over connection: Connection.ID
    ) {
        if let open = self.opens[key], self.checksLockSequences(open, connection) {
            self.opens[key]?.lockSequences.succeed(index: index, number: number)
        }
        self.persist(key, awaited: true)
    }

    /// 3.3.5.14.1. What was unlocked before an element fails stays unlocked.
    private mutating func unlock(_ elements: [LockElement], _ key: UInt64) throws(SMBError) {
        guard let file = self.opens[key]?.file else { throw SMBError(.fileClosed) }
        var failure: NTStatus?
        for element in elements {
            guard element.flags == .unlock else {
                failure = .invalidParameter
                break
            }
            guard self.files[file]?.locks.remove(offset: element.offset, length: element.length, owner: key) == true
            else {
                failure = .rangeNotLocked
                break
            }
            self.usage.locks -= 1
        }
        self.retryLocks(of: file)
        guard let failure else { return }
        self.persist(key, awaited: false)
        throw SMBError(failure)
    }

    /// 3.3.5.14.2. All or none; a single lock may wait. Returns the interim reply of one that does.
    private mutating func lock(
        _ lock: LockRequest, _ key: UInt64, _ request: Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome? {
        guard let open = self.opens[key] else { throw SMBError(.fileClosed) }
        let file = open.file
        for element in lock.locks {
            guard element.hasValidFlags, element.flags != .unlock,
                lock.locks.count == 1 || element.flags.contains(.failImmediately)
            else { throw SMBError(.invalidParameter, "lock flags") }
        }
        // [MS-FSA] 2.1.5.8: what others read from their caches could not be locked.
        self.breakReadCaching(by: open)
        var taken: [ByteRangeLock] = []
        var failure: NTStatus?
        for element in lock.locks {
            guard ByteRangeLocks.isValid(offset: element.offset, length: element.length) else {
                failure = .invalidLockRange
                break
            }
            let wanted = ByteRangeLock(
                offset: element.offset, length: element.length, isExclusive: element.flags.contains(.exclusive),
                owner: key)
            if self.files[file]?.locks.refuses(wanted) == true {
                guard element.flags.contains(.failImmediately) else {
                    let (id, outcome) = try self.pend(
                        request, open: key,
                        kind: .lock(wanted, sequenceIndex: lock.sequenceIndex, sequenceNumber: lock.sequenceNumber),
                        into: &writer)
                    self.files[file]?.waitingLocks.append(id)
                    return outcome
                }
                failure = .lockNotGranted
                break
            }
            guard self.take(wanted, in: file) else {
                failure = .insufficientResources
                break
            }
            taken.append(wanted)
        }
        guard let failure else { return nil }
        for lock in taken.reversed() {
            if self.files[file]?.locks.removeLast(lock) == true { self.usage.locks -= 1 }
        }
        throw SMBError(failure)
    }

    /// False when there are too many locks, in the file or in all.
    private mutating func take(_ lock: ByteRangeLock, in file: UInt64) -> Bool {
        guard self.usage.locks < Int(self.configuration.limits[.locks]), self.files[file]?.locks.add(lock) == true
        else {
            return false
        }
        self.usage.locks += 1
        return true
    }

    /// Something was unlocked: grants what waited for it, the oldest first.
    mutating func retryLocks(of file: UInt64) {
        for id in self.files[file]?.waitingLocks ?? [] {
            guard let pending = self.pending[id], case .lock(let wanted, let index, let number) = pending.kind,
                self.files[file]?.locks.refuses(wanted) == false
            else { continue }
            guard self.take(wanted, in: file) else {
                self.complete(id, status: .insufficientResources)
                continue
            }
            self.lockSucceeded(pending.open, index: index, number: number, over: pending.connection)
            self.complete(id, status: .success) { LockResponse().encode(into: &$0) }
        }
    }
}

extension NTStatus {
    /// STATUS_INVALID_LOCK_RANGE, [MS-ERREF] 2.3.1.
    static let invalidLockRange = NTStatus(rawValue: 0xC000_01A1)
}
