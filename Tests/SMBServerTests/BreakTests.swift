import FileStore
import SMB2Wire
import SMBAuth
import StateRecords
import Testing

@testable import SMBClient
@testable import SMBServer

#if canImport(Glibc)
    import Glibc
#endif

/// Breaks and what waits for them, over TCP, with keys and files.
@Suite struct BreakTests {
    /// Who has an answer may tell others what it says, by whatever way: they have heard of it from the server by then. Three
    /// connections on two loops: one shares the holder's.
    @Test func aBreakIsThereBeforeTheAnswerThatItMakesWayFor() throws {
        let server = try RunningServer()
        let holder = try server.connect()
        let others = [try server.connect(), try server.connect()]
        for round in 0..<100 {
            for other in others {
                let held = try holder.create(
                    OpenParameters("a", access: .readData, disposition: .openIf, oplock: .levelII))
                try #require(held.oplockLevel == .levelII)
                let file = try other.create(OpenParameters("a", access: .writeData)).fileID
                try other.write(file, at: 0, [1])
                #expect(holder.stream.hasArrived, "round \(round)")
                #expect(try OplockBreak(parsing: try holder.nextNotification().span).level == .none)
                try other.close(file)
                try holder.close(held.fileID)
            }
        }
    }

    /// A client that breaks its own other lease's caching and goes on at once: the break stands before the next answer.
    @Test func aBreakOfOnesOwnIsThereBeforeTheNextAnswer() throws {
        let server = try RunningServer()
        let client = try server.connect()
        for round in 0..<100 {
            let held = try client.create(OpenParameters("a", access: .readData, disposition: .openIf, oplock: .levelII))
            try #require(held.oplockLevel == .levelII)
            let file = try client.create(OpenParameters("a", access: .writeData)).fileID
            let write = try client.postWrite(file, at: 0, [1])
            let echo = try client.post(.echo) { EchoRequest().encode(into: &$0) }
            _ = try client.gather(write, .write)
            _ = try client.gather(echo, .echo)
            #expect(!client.notifications.isEmpty, "round \(round)")
            #expect(try OplockBreak(parsing: try client.nextNotification().span).level == .none)
            try client.close(file)
            try client.close(held.fileID)
        }
    }

    /// On a continuously available share an answer waits for the journal: what the client is told because of its own request stands
    /// behind it all the same (smb2.dirlease.rename).
    @Test func aBreakOfOnesOwnStandsBehindItsAnswer() throws {
        let server = try RunningServer(isContinuouslyAvailable: true)
        let client = try server.connect()
        for round in 0..<20 {
            let held = try client.create(OpenParameters("a", access: .readData, disposition: .openIf, oplock: .levelII))
            try #require(held.oplockLevel == .levelII)
            let create = try client.postCreate(
                DurableHandle.request(
                    OpenParameters("a", access: .writeData, disposition: .overwriteIf),
                    GUID(low: UInt64(round), high: 1), timeoutMilliseconds: 0))
            let answer = try CreateResponse(parsing: try client.gather(create, .create).span)
            try #require(answer.contexts.durableV2?.isPersistent == true)
            #expect(client.notifications.isEmpty, "round \(round)")
            #expect(try OplockBreak(parsing: try client.nextNotification().span).level == .none)
            for file in [answer.fileID, held.fileID] { try client.close(file) }
        }
    }

    /// A disk may need longer for a FLUSH than the client has for a break, whose time runs: [MS-SMB2] 3.3.2.5. Neither the
    /// break waits for it, nor those whose answers wait for the break.
    @Test func aBreakDoesNotWaitForAFlush() throws {
        let server = try RunningServer()
        let holder = try server.connect()
        let other = try server.connect()
        let flushed = try holder.create(OpenParameters("flushed", access: .writeData, disposition: .openIf)).fileID
        let key = GUID(low: 9, high: 9)
        var leased = OpenParameters("leased", access: [.readData, .writeData], disposition: .openIf, oplock: .lease)
        leased.contexts.lease = LeaseContext(key: key, state: [.readCaching, .handleCaching, .writeCaching])
        let held = try holder.create(leased)
        try #require(held.contexts.lease?.state == [.readCaching, .handleCaching, .writeCaching])
        let disk = StalledDisk(of: server)
        defer { disk.resume() }
        let flush = try holder.post(.flush) { FlushRequest(fileID: flushed).encode(into: &$0) }
        try holder.echo()

        let create = try other.postCreate(OpenParameters("leased", access: [.readData, .writeData]))
        try other.flush()
        let notice = try LeaseBreakNotification(parsing: try holder.nextNotification().span)
        #expect(notice.leaseKey == key && notice.newState == [.readCaching, .handleCaching])
        let acknowledgement = try holder.post(.oplockBreak) {
            LeaseBreakAcknowledgement(leaseKey: key, state: notice.newState).encode(into: &$0)
        }
        _ = try holder.gather(acknowledgement, .oplockBreak)
        let file = try CreateResponse(parsing: try other.gather(create, .create).span).fileID
        // Takes the rest of the caching, and waits for no more than that its holder has been told.
        try other.write(file, at: 0, [1])
        let last = try LeaseBreakNotification(parsing: try holder.nextNotification().span)
        #expect(last.leaseKey == key && last.newState == [])
        #expect(!holder.isAnswered(flush))

        disk.resume()
        _ = try holder.gather(flush, .flush)
    }

    /// The answer that tells of a lease may wait for the disk with the rest of its compound: the break of that lease waits
    /// with it.
    @Test func aBreakIsNeverThereBeforeTheAnswerThatTellsOfTheLease() throws {
        // On one loop: when it has answered the one, what that made it say to the other was looked at.
        let server = try RunningServer { $0.loopCount = 1 }
        let holder = try server.connect()
        let other = try server.connect()
        let disk = StalledDisk(of: server)
        defer { disk.resume() }
        let key = GUID(low: 9, high: 9)
        var create = CreateRequest(
            desiredAccess: [.readData, .writeData], shareAccess: .all, disposition: .openIf, oplockLevel: .lease)
        create.contexts.lease = LeaseContext(key: key, state: [.readCaching, .handleCaching, .writeCaching])
        let request = create
        let ids = try holder.postCompound([
            .init(.create) { request.encode(into: &$0, name: "a") },
            .init(.flush) { FlushRequest(fileID: .related).encode(into: &$0) },
        ])
        try holder.echo()
        let open = try other.postCreate(OpenParameters("a", access: .readData))
        try other.echo()
        try holder.echo()
        #expect(holder.notifications.isEmpty)
        #expect(!holder.isAnswered(ids[0]))

        disk.resume()
        let answer = try CreateResponse(parsing: try holder.gather(ids[0], .create).span)
        #expect(answer.contexts.lease?.state == [.readCaching, .handleCaching, .writeCaching])
        #expect(holder.notifications.isEmpty)
        _ = try holder.gather(ids[1], .flush)
        let notice = try LeaseBreakNotification(parsing: try holder.nextNotification().span)
        #expect(notice.leaseKey == key && notice.newState == [.readCaching, .handleCaching])
        let acknowledgement = try holder.post(.oplockBreak) {
            LeaseBreakAcknowledgement(leaseKey: key, state: notice.newState).encode(into: &$0)
        }
        _ = try holder.gather(acknowledgement, .oplockBreak)
        _ = try other.gather(open, .create)
    }

    /// What a client is told because of its own request stands behind the answer, also when that waits for nothing but the
    /// disk.
    @Test func aBreakOfOnesOwnWaitsForTheDiskWithItsAnswer() throws {
        let server = try RunningServer()
        let client = try server.connect()
        let held = try client.create(OpenParameters("a", access: .readData, disposition: .openIf, oplock: .levelII))
        try #require(held.oplockLevel == .levelII)
        let file = try client.create(OpenParameters("a", access: .writeData)).fileID
        let disk = StalledDisk(of: server)
        defer { disk.resume() }
        let write = try client.postWrite(file, at: 0, [1], flags: WriteRequest.writeThroughFlag)
        try client.echo()
        #expect(!client.isAnswered(write))
        #expect(client.notifications.isEmpty)

        disk.resume()
        _ = try client.gather(write, .write)
        #expect(client.notifications.isEmpty)
        #expect(try OplockBreak(parsing: try client.nextNotification().span).level == .none)
    }

    /// A rename says nothing while it waits; the break that it waits for stands before the answer to the next request all the same
    /// (smb2.lease.rename_wait).
    @Test func aBreakIsThereThoughItsCauseIsSilent() throws {
        let server = try RunningServer()
        let client = try server.connect()
        let key = GUID(low: 9, high: 9)
        for round in 0..<100 {
            var leased = OpenParameters("a", access: .readData, disposition: .openIf, oplock: .lease)
            leased.contexts.lease = LeaseContext(key: key, state: [.readCaching, .handleCaching])
            let held = try client.create(leased)
            let file = try client.create(OpenParameters("a", access: [.readData, .delete])).fileID
            var name = WireWriter(capacity: 64)
            RenameInformation(replaceIfExists: false).encode(into: &name, name: "b")
            let rename = try client.postSetInfo(
                file, informationClass: FileInformationClass.rename.rawValue, name.bytes)
            try client.echo()
            #expect(!client.notifications.isEmpty, "round \(round)")
            let notice = try LeaseBreakNotification(parsing: try client.nextNotification().span)
            let acknowledgement = try client.post(.oplockBreak) {
                LeaseBreakAcknowledgement(leaseKey: key, state: notice.newState).encode(into: &$0)
            }
            _ = try client.gather(acknowledgement, .oplockBreak)
            _ = try client.gather(rename, .setInfo)
            for file in [held.fileID, file] { try client.close(file) }
            try client.delete("b")
        }
    }

    /// A compound that waits is carried out to its last byte: signed or sealed, message by message, on the disk.
    @Test(arguments: [false, true])
    func aCompoundThatWaitedIsCarriedOut(isEncrypted: Bool) throws {
        let server = try RunningServer(isContinuouslyAvailable: true)
        func connect() throws -> SMBConnection {
            let connection = try server.connect()
            connection.isEncrypting = isEncrypted
            return connection
        }
        let holder = try connect()
        let other = try connect()
        let first = try holder.create(
            OpenParameters("a", access: [.readData, .writeData], disposition: .openIf, oplock: .batch))
        #expect(first.oplockLevel == .batch)
        try holder.write(first.fileID, at: 0, [1, 2, 3])

        let create = CreateRequest(desiredAccess: [.readData, .writeData], shareAccess: .all, disposition: .open)
        let data: [UInt8] = Array(repeating: 7, count: 5000)
        let ids = try other.postCompound([
            .init(.create) { create.encode(into: &$0, name: "a") },
            .init(.write, payloadByteCount: data.count) {
                WriteRequest(fileID: .related, offset: 3).encode(into: &$0, data: data.span.bytes)
            },
            .init(.read, payloadByteCount: 8) {
                ReadRequest(fileID: .related, offset: 0, length: 8).encode(into: &$0)
            },
            .init(.queryInfo) {
                QueryInfoRequest(
                    infoType: .file, informationClass: FileInformationClass.standard.rawValue, fileID: .related,
                    outputBufferLength: 4096
                ).encode(into: &$0, input: RawSpan())
            },
            .init(.close) { CloseRequest(fileID: .related).encode(into: &$0) },
        ])
        try other.waitUntilPending(ids[0])
        let notice = try holder.nextNotification()
        #expect(notice.header.command == .oplockBreak)
        #expect(try OplockBreak(parsing: notice.span) == OplockBreak(level: .levelII, fileID: first.fileID))
        let acknowledgement = try holder.post(.oplockBreak) {
            OplockBreak(level: .levelII, fileID: first.fileID).encode(into: &$0)
        }
        _ = try holder.gather(acknowledgement, .oplockBreak)

        let answers = try ids.map { try other.gather($0) }
        #expect(answers.map { $0.header.status } == Array(repeating: NTStatus.success, count: 5))
        let (readAnswer, infoAnswer) = (answers[2], answers[3])
        let read = try ReadResponse(parsing: readAnswer.span)
        #expect(readAnswer.bytes(read.data) == [1, 2, 3, 7, 7, 7, 7, 7])
        let facts = try OutputBufferResponse(parsing: infoAnswer.span)
        let standard = try StandardInformation(parsing: infoAnswer.span.extracting(facts.buffer))
        #expect(standard.endOfFile == 5003, "asked for behind the write, it is the size that the write made")
        // It was written by another: level II is gone, too.
        let last = try holder.nextNotification()
        #expect(try OplockBreak(parsing: last.span).level == .none)
        try holder.close(first.fileID)
    }

    /// Who breaks a lease by a rename hears nothing until that is done: neither that it waits, nor of the CREATE before it in
    /// its compound. The break may be the same client's to acknowledge, over the same connection.
    @Test(arguments: [false, true], [false, true])
    func aCompoundWaitsWithItsRename(isEncrypted: Bool, isOwn: Bool) throws {
        let server = try RunningServer()
        let holder = try server.connect()
        let other = isOwn ? holder : try server.connect()
        for client in [holder, other] { client.isEncrypting = isEncrypted }
        let key = GUID(low: 9, high: 9)
        var leased = OpenParameters("a", access: .readData, disposition: .openIf)
        leased.contexts.lease = LeaseContext(key: key, state: [.readCaching, .handleCaching])
        leased.oplock = .lease
        let held = try holder.create(leased)
        try #require(held.contexts.lease?.state == [.readCaching, .handleCaching])

        let create = CreateRequest(desiredAccess: [.readData, .delete], shareAccess: .all, disposition: .open)
        var name = WireWriter(capacity: 64)
        RenameInformation(replaceIfExists: false).encode(into: &name, name: "b")
        let set = SetInfoRequest(
            infoType: .file, informationClass: FileInformationClass.rename.rawValue, fileID: .related)
        let ids = try other.postCompound([
            .init(.create) { create.encode(into: &$0, name: "a") },
            .init(.setInfo) { set.encode(into: &$0, buffer: name.span) },
            .init(.close) { CloseRequest(fileID: .related).encode(into: &$0) },
        ])
        try other.flush()
        let notice = try LeaseBreakNotification(parsing: try holder.nextNotification().span)
        #expect(notice.leaseKey == key && notice.newState == .readCaching)
        try other.echo()
        for id in ids { #expect(!other.isAnswered(id) && other.pending[id] == nil) }

        let acknowledgement = try holder.post(.oplockBreak) {
            LeaseBreakAcknowledgement(leaseKey: key, state: .readCaching).encode(into: &$0)
        }
        _ = try holder.gather(acknowledgement, .oplockBreak)
        let answers = try ids.map { try other.gather($0) }
        #expect(answers.map { $0.header.status } == [.success, .success, .success])
        #expect(answers.allSatisfy { !$0.header.isAsync })
        try holder.close(held.fileID)
        try other.delete("b")
    }
}
