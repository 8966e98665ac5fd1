import SMB2Wire
import SMBClient

// Between clients: what one holds while it is away nobody else is given.

extension Workload {
    static var sharing: [Workload] {
        [
            Workload("held lock", Self.heldLock), Workload("waiting lock", Self.waitingLock),
            Workload("lease break in flight", Self.leaseBreak), Workload("pending create", Self.pendingCreate),
            Workload("denied write", Self.deniedWrite),
        ]
    }

    private static func heldLock(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead, .genericWrite], disposition: .create))
        try run.holder.connection.write(file.fileID, at: 0, Array(repeating: 7, count: 4096))
        try run.holder.connection.lock(Self.lock(file.fileID, sequence: 1))
        try run.breakServer()
        try run.rival.comeBack()
        let path = run.path()
        // The holder is away: whoever comes first must find the lock.
        let refused = try run.refusal("the lock of a client that is away") { () throws(ClientError) in
            let other = try run.rival.connection.create(OpenParameters(path, access: [.genericRead, .genericWrite]))
            try run.rival.connection.lock(other.fileID, offset: 100, length: 10)
        }
        try run.require(
            [.lockNotGranted, .fileNotAvailable, .sharingViolation].contains(refused), "the rival was told \(refused)")
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        // Repeated, it is recognised by its number. [MS-SMB2] 3.3.5.14.
        let id = file.fileID
        try run.holder.patiently { () throws(ClientError) in
            try run.holder.connection.lock(Self.lock(id, sequence: 1), isReplay: true)
        }
        let other = try run.rival.patiently { () throws(ClientError) in
            try run.rival.connection.create(OpenParameters(path, access: [.genericRead, .genericWrite])).fileID
        }
        let status = try run.refusal("a write into the holder's lock") { () throws(ClientError) in
            try run.rival.connection.write(other, at: 50, [1])
        }
        try run.require(status == .fileLockConflict, "a write into the lock was told \(status)")
        try run.holder.connection.lock(id, offset: 0, length: 4096, .unlock)
        try run.rival.connection.lock(other, offset: 0, length: 4096)
    }

    private static func lock(_ file: FileID, sequence: UInt8) -> LockRequest {
        LockRequest(
            fileID: file, locks: [LockElement(offset: 0, length: 4096, flags: [.exclusive, .failImmediately])],
            sequenceNumber: sequence, sequenceIndex: 1)
    }

    /// A LOCK that waits is asked again by its client, and granted when the holder gives way.
    private static func waitingLock(_ run: Interruption) throws(ClientError) {
        let parameters = OpenParameters(run.path(), access: [.genericRead, .genericWrite], disposition: .openIf)
        var held = try run.holder.open(parameters)
        var waiting = try run.rival.open(parameters)
        try run.holder.connection.lock(held.fileID, offset: 0, length: 10)
        let id = waiting.fileID
        let request = try run.rival.connection.postLock(Self.patientLock(id))
        try run.rival.connection.waitUntilPending(request)
        try run.breakServer()
        try run.rival.comeBack()
        try run.rival.reclaim(&waiting)
        let again = try run.rival.connection.postLock(Self.patientLock(waiting.fileID), isReplay: true)
        try run.rival.connection.waitUntilPending(again)
        try run.holder.comeBack()
        try run.holder.reclaim(&held)
        run.recovered()
        try run.holder.connection.lock(held.fileID, offset: 0, length: 10, .unlock)
        _ = try run.rival.connection.gather(again, .lock)
    }

    private static func patientLock(_ file: FileID) -> LockRequest {
        LockRequest(
            fileID: file, locks: [LockElement(offset: 5, length: 10, flags: .exclusive)], sequenceNumber: 1,
            sequenceIndex: 2)
    }

    /// The server dies between a break's notification and its acknowledgement.
    private static func leaseBreak(_ run: Interruption) throws(ClientError) {
        var parameters = OpenParameters(
            run.path(), access: [.genericRead, .genericWrite], disposition: .create, oplock: .lease)
        let key = try ClientConfiguration.freshGUID()
        parameters.contexts.lease = LeaseContext(
            key: key, state: [.readCaching, .handleCaching, .writeCaching], version2: .init(parentKey: .zero, epoch: 0))
        var held = try run.holder.open(parameters)
        try run.require(
            held.response.contexts.lease?.state == [.readCaching, .handleCaching, .writeCaching],
            "no full lease was granted: \(held.response.contexts.lease?.state.rawValue ?? 0)")
        let wanted = OpenParameters(run.path(), access: [.genericRead, .genericWrite])
        let guid = try ClientConfiguration.freshGUID()
        let waiting = try run.rival.postOpen(wanted, guid, isReplay: false)
        try run.rival.connection.waitUntilPending(waiting)
        _ = try run.holder.connection.nextNotification()
        try run.breakServer()
        try run.rival.comeBack()
        // While the holder is away its cached writes are only there: nobody may read past them.
        var again = try run.rival.postOpen(wanted, guid, isReplay: true)
        try run.holder.comeBack()
        try run.holder.reclaim(&held)
        run.recovered()
        try run.require(held.response.contexts.lease?.key == key, "the lease came back with another key")
        let state = held.response.contexts.lease?.state ?? []
        try run.require(state.contains(.readCaching), "of the lease came back \(state.rawValue)")
        // What was cached is written; then the break is acknowledged, told anew or still under way.
        try run.holder.connection.write(held.fileID, at: 0, [1, 2, 3])
        try Self.acknowledge(run, key)
        let deadline = Instant.now.adding(milliseconds: 30_000)
        while true {
            let reply = try run.rival.connection.gather(again)
            if reply.header.status == .fileNotAvailable, Instant.now < deadline {
                sleep(milliseconds: 20)
                again = try run.rival.postOpen(wanted, guid, isReplay: true)
                continue
            }
            try run.require(reply.header.status == .success, "the rival's CREATE: \(reply.header.status)")
            let response: CreateResponse
            do throws(WireError) { response = try CreateResponse(parsing: reply.span) } catch { throw .wire(error) }
            let read = try run.rival.connection.read(response.fileID, at: 0, count: 10)
            try run.require(read == [1, 2, 3], "the rival read \(read), not what the holder had cached")
            return
        }
    }

    private static func acknowledge(_ run: Interruption, _ key: GUID) throws(ClientError) {
        let notice = try run.holder.connection.nextNotification()
        let told: LeaseBreakNotification
        do throws(WireError) { told = try LeaseBreakNotification(parsing: notice.span) } catch { throw .wire(error) }
        try run.require(told.leaseKey == key, "a break of another lease")
        guard told.flags & LeaseBreakNotification.acknowledgeRequired != 0 else { return }
        let id = try run.holder.connection.post(.oplockBreak) {
            LeaseBreakAcknowledgement(leaseKey: key, state: told.newState).encode(into: &$0)
        }
        _ = try run.holder.connection.gather(id, .oplockBreak)
    }

    /// A CREATE waits for a handle lease to be given up; the server dies; the CREATE is repeated and must be one and the same.
    private static func pendingCreate(_ run: Interruption) throws(ClientError) {
        var parameters = OpenParameters(
            run.path(), access: [.genericRead, .genericWrite], share: [], disposition: .create, oplock: .lease)
        let key = try ClientConfiguration.freshGUID()
        parameters.contexts.lease = LeaseContext(
            key: key, state: [.readCaching, .handleCaching], version2: .init(parentKey: .zero, epoch: 0))
        var held = try run.holder.open(parameters)
        let wanted = OpenParameters(run.path(), access: [.genericRead, .genericWrite])
        let guid = try ClientConfiguration.freshGUID()
        let waiting = try run.rival.postOpen(wanted, guid, isReplay: false)
        try run.rival.connection.waitUntilPending(waiting)
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&held)
        run.recovered()
        try run.rival.comeBack()
        let again = try run.rival.postOpen(wanted, guid, isReplay: true)
        try run.rival.connection.waitUntilPending(again)
        // Its application has closed the file already: the client gives the cached handle up.
        try run.holder.connection.close(held.fileID)
        let opened = try Self.created(run, again)
        let repeated = try Self.created(run, try run.rival.postOpen(wanted, guid, isReplay: true))
        try run.require(opened == repeated, "the CREATE that was repeated opened the file a second time")
        try run.rival.connection.write(opened, at: 0, [1])
    }

    private static func created(_ run: Interruption, _ request: UInt64) throws(ClientError) -> FileID {
        let reply = try run.rival.connection.gather(request, .create)
        do throws(WireError) { return try CreateResponse(parsing: reply.span).fileID } catch { throw .wire(error) }
    }

    private static func deniedWrite(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead, .genericWrite], share: .read, disposition: .create))
        try run.breakServer()
        try run.rival.comeBack()
        let path = run.path()
        let status = try run.refusal("writing what a client that is away denied to others") { () throws(ClientError) in
            _ = try run.rival.connection.create(OpenParameters(path, access: .genericWrite))
        }
        try run.require([.sharingViolation, .fileNotAvailable].contains(status), "the rival was told \(status)")
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let after = try run.refusal("writing what the holder denies to others") { () throws(ClientError) in
            _ = try run.rival.connection.create(OpenParameters(path, access: .genericWrite))
        }
        try run.require(after == .sharingViolation, "the rival was told \(after)")
        try run.holder.connection.close(file.fileID)
        _ = try run.rival.connection.create(OpenParameters(path, access: .genericWrite))
    }
}
