import Testing

@testable import StateRecords

enum Sample {
    static let open = OpenRecord(
        persistentID: 0x0102_0304_0506_0708, createGUID: GUID16(low: 1, high: 2), clientGUID: GUID16(low: 3, high: 4),
        ownerSID: "S-1-5-21-1-2-3-1001", userName: "alice", share: "test", path: "Bücher/a.txt", stream: "",
        file: FileIdentity(fileSystem: GUID16(low: 5, high: 6), handleType: 0x81, handle: Array(0..<12)),
        grantedAccess: 0x0012_019F, shareAccess: 1, createOptions: 0x40, createDisposition: 3, createAction: 2,
        fileAttributes: 0x20, timeoutMilliseconds: 60_000, isPersistent: true, oplockLevel: 0xFF,
        lease: LeaseRecord(
            key: GUID16(low: 7, high: 8), parentKey: .zero, state: 7, flags: 0, epoch: 3, version: 2),
        deleteOnClose: true, replayConsumed: true, channelSequence: 9,
        locks: [LockRecord(offset: 0, length: .max, isExclusive: true)],
        lockSequences: Array(repeating: 0xFF, count: 64), extra: [1, 2, 3])
    static let client = ClientRecord(
        clientAddress: [10, 77, 0, 1], clientPort: 50_000, serverAddress: [10, 77, 0, 10], serverPort: 445)
    static let configuration = ServerConfiguration(
        serverGUID: GUID16(low: 9, high: 10), serverName: "TSHARE", domain: (1, 2, 3), mountPoint: "/run/holdfast/mnt",
        shares: [ShareRecord(name: "test", path: "test", isContinuouslyAvailable: true)],
        users: [UserRecord(name: "alice", ntHash: Array(0..<16), relativeID: 1001)])
    static let scheduled: ServerConfiguration = {
        var scheduled = configuration
        scheduled.snapshotSchedules = [SnapshotSchedule(share: "test", everySeconds: 3600, keep: 24)]
        return scheduled
    }()
    static let mutations: [Mutation] = [
        .putOpen(open), .removeOpen(persistentID: 7), .putClient(client), .removeClient(client),
        .reserveIDs(below: 4096), .removeAllClients,
    ]
    static let toServer: [ClusterToServer] = [
        .configure(configuration), .load(opens: [open, open]), .serve(epoch: 4, nextPersistentID: 4096),
        .appended(sequence: 1), .refused(sequence: 2), .freeze, .stop, .statusRequest, .ping,
        .lease(until: 1 << 40), .configure(scheduled), .snapshot(id: 1, .create(share: "test")),
        .snapshot(id: 2, .delete(share: "test", token: "@GMT-2026.11.24-19.30.00")), .snapshot(id: 3, .list(share: "")),
        .snapshot(id: 4, .cancel(share: "test")), .unservedRequest,
    ]
    static let toCluster: [ServerToCluster] = [
        .ready(processID: 99), .append(sequence: 3, isAwaited: true, mutations: mutations),
        .serving(epoch: 4, reopened: 5, lost: 0), .frozen, .pong,
        .status(
            ServerStatus(
                connections: 1, persistentOpens: 2, bytesWritten: 3, notifies: 4, pending: 5, heldBytes: 6,
                pipeBytes: 7)),
        .storageFailed(detail: "EIO"), .snapshotDone(id: 1, .done("made")), .snapshotDone(id: 2, .failed("no space")),
        .snapshotDone(
            id: 3,
            .list([SnapshotRecord(share: "test", token: "@GMT-2026.11.24-19.30.00", isScheduled: true)])),
        .unserved([]),
        .unserved([UnservedShare(name: "a", reason: "not a directory"), UnservedShare(name: "", reason: "")]),
    ]
}

@Suite struct RecordCodingTests {
    /// Everything comes back as it was written, and no prefix of it is taken for the whole.
    private func check<Value: BinaryRecord>(_ value: Value) throws {
        let bytes = value.encoded
        #expect(try Value(decoding: bytes) == value)
        for count in 0..<bytes.count {
            #expect(throws: RecordError.self) { try Value(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: RecordError.trailingBytes(1)) { try Value(decoding: bytes + [0]) }
    }

    @Test func mutations() throws { for mutation in Sample.mutations { try self.check(mutation) } }
    @Test func messagesToTheServer() throws { for message in Sample.toServer { try self.check(message) } }
    @Test func messagesToTheCluster() throws { for message in Sample.toCluster { try self.check(message) } }

    /// What servers recorded that granted no oplocks and leases: it must be read for as long as such a record can exist.
    @Test func anOpenFromBeforeLeases() throws {
        let hex = [
            "01b000000005000000000000000100000000000000020000000000000003000000000000000400000000000000070000",
            "00532d312d352d3702000000616c01000000740100000061000000000500000000000000060000000000000001000000",
            "02000000070803000000010000004000000001000000010000002000000060ea00000100000000000000000000000000",
            "00000000000000000000000000000000000000000000010900000000000000000000000000",
        ].joined()
        let digits = Array(hex.utf8)
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
        let record = try OpenRecord(decoding: bytes)
        #expect(
            record
                == OpenRecord(
                    persistentID: 5, createGUID: GUID16(low: 1, high: 2), clientGUID: GUID16(low: 3, high: 4),
                    ownerSID: "S-1-5-7", userName: "al", share: "t", path: "a",
                    file: FileIdentity(fileSystem: GUID16(low: 5, high: 6), handleType: 1, handle: [7, 8]),
                    grantedAccess: 3, shareAccess: 1, createOptions: 0x40, createDisposition: 1, createAction: 1,
                    fileAttributes: 0x20, timeoutMilliseconds: 60_000, isPersistent: true, replayConsumed: true,
                    channelSequence: 9))
        #expect(record.encoded == bytes, "no lease, no other bytes")
    }

    /// A million is what an array may have that says nothing else. A cluster's opens may be more, if its administrator
    /// wants so.
    @Test func anArrayMayHaveItsOwnLimit() throws {
        let lock = LockRecord(offset: 1, length: 2, isExclusive: true)
        var writer = BinaryWriter()
        writer.write([lock, lock, lock])
        var reader = BinaryReader(writer.bytes)
        #expect(try reader.readArray(LockRecord.self, limit: 3).count == 3)
        reader = BinaryReader(writer.bytes)
        #expect(throws: RecordError.tooLong(kind: "array", count: 3, limit: 2)) {
            try reader.readArray(LockRecord.self, limit: 2)
        }
        // Only the number is there.
        let count = RecordLimits.elements + 1
        writer = BinaryWriter()
        writer.write(UInt32(count))
        reader = BinaryReader(writer.bytes)
        #expect(throws: RecordError.tooLong(kind: "array", count: count, limit: count - 1)) {
            try reader.readArray(LockRecord.self)
        }
        reader = BinaryReader(writer.bytes)
        #expect(throws: RecordError.truncated(needed: 8, left: 0)) {
            try reader.readArray(LockRecord.self, limit: count)
        }
    }

    /// Of an open that was renamed: what it adds is behind all that a version without it reads.
    @Test func anOpenWithAFormerPath() throws {
        var record = Sample.open
        record.formerPath = "before"
        #expect(try OpenRecord(decoding: record.encoded) == record)
        #expect(record.encoded.first == 2)
        #expect(Sample.open.encoded.first == 1)
        #expect(record.encoded[5..<Sample.open.encoded.count].elementsEqual(Sample.open.encoded[5...]))
    }

    /// The layout on disk and between versions: a change of these bytes is a change of the format.
    @Test func goldenBytes() throws {
        #expect(Mutation.removeOpen(persistentID: 0x1122).encoded == [2, 0x22, 0x11, 0, 0, 0, 0, 0, 0])
        #expect(
            ShareRecord(name: "t", path: "p").encoded
                == [5, 33, 0, 0, 0, 1, 0, 0, 0, 0x74, 1, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
                + [0, 0, 0, 0, 0, 0, 0, 0])
        let user = UserRecord(name: "u", ntHash: [9], relativeID: 3, isAdministrator: true)
        #expect(user.encoded == [2, 15, 0, 0, 0, 1, 0, 0, 0, 0x75, 1, 0, 0, 0, 9, 3, 0, 0, 0, 1])
        #expect(try UserRecord(decoding: user.encoded) == user)
    }

    /// What a node of before wrote: the share offers what a new one offers, everyone has full access, nobody is an
    /// administrator.
    @Test func recordsOfEarlierVersions() throws {
        var reader = BinaryReader([1, 17, 0, 0, 0, 1, 0, 0, 0, 0x74, 1, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 1, 0])
        #expect(try ShareRecord(from: &reader) == ShareRecord(name: "t", path: "p", isReadOnly: true))
        var share = ShareRecord(name: "t", path: "p", offersPOSIX: false, isTimeMachine: true, compressesData: true)
        share.traits = [.shortNames, .withoutNotify]
        share.hiddenFiles = [".*", "Thumbs.db"]
        var again = BinaryReader(share.encoded)
        #expect(try ShareRecord(from: &again) == share)
        let second: [UInt8] = [2, 18, 0, 0, 0, 1, 0, 0, 0, 0x74, 1, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(try ShareRecord(decoding: second) == ShareRecord(name: "t", path: "p", offersPOSIX: false))
        let third: [UInt8] = [
            3, 24, 0, 0, 0, 1, 0, 0, 0, 0x74, 1, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0,
        ]
        #expect(try ShareRecord(decoding: third) == ShareRecord(name: "t", path: "p", isTimeMachine: true))
        let fourth: [UInt8] = [
            4, 25, 0, 0, 0, 1, 0, 0, 0, 0x74, 1, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1,
        ]
        #expect(try ShareRecord(decoding: fourth) == ShareRecord(name: "t", path: "p", compressesData: true))
        let user: [UInt8] = [1, 14, 0, 0, 0, 1, 0, 0, 0, 0x75, 1, 0, 0, 0, 9, 3, 0, 0, 0]
        #expect(try UserRecord(decoding: user) == UserRecord(name: "u", ntHash: [9], relativeID: 3))
    }

    @Test func sharePermissions() throws {
        var share = ShareRecord(name: "t", path: "p", isAccessBased: true)
        share.permit(SharePermission(name: "Everyone", level: .read))
        share.permit(SharePermission(name: "alice", level: .change))
        share.permit(SharePermission(name: "ALICE", level: .none))
        #expect(share.permissions.map(\.description) == ["Everyone:read", "ALICE:none"])
        #expect(try ShareRecord(decoding: share.encoded) == share)
    }

    @Test func aNewerWritersFieldsAreSkipped() throws {
        var writer = BinaryWriter()
        writer.section(version: 6) { writer in
            writer.write("test")
            writer.write("path")
            writer.write("")
            writer.write(true)
            writer.write(false)
            writer.write(false)
            writer.write(true)
            writer.write(false)
            writer.write([SharePermission]())
            writer.write(false)
            writer.write(false)
            writer.write(UInt32(0))
            writer.write([String]())
            writer.write("a field of version 6")
        }
        writer.write(UInt16(0xABCD))
        var reader = BinaryReader(writer.bytes)
        let share = try ShareRecord(from: &reader)
        #expect(share == ShareRecord(name: "test", path: "path", isContinuouslyAvailable: true))
        #expect(try reader.read(UInt16.self) == 0xABCD)
    }

    /// A record that ends inside its own section must not read into its neighbour's bytes.
    @Test func aShortSectionIsTruncated() {
        var writer = BinaryWriter()
        writer.section(version: 1) { $0.write("test") }
        writer.write("neighbour")
        var reader = BinaryReader(writer.bytes)
        #expect(throws: RecordError.self) { try ShareRecord(from: &reader) }
    }

    @Test(arguments: UInt64(0)..<64)
    func damagedBytesNeverTrap(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        for message in Sample.toServer {
            var bytes = message.encoded
            for _ in 0..<4 where !bytes.isEmpty {
                bytes[Int(next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: next())
            }
            guard let decoded = try? ClusterToServer(decoding: bytes) else { continue }
            // What still decodes is a value like any other: it encodes to something that decodes to itself.
            #expect((try? ClusterToServer(decoding: decoded.encoded)) == decoded)
        }
    }
}

@Suite struct SnapshotScheduleTests {
    @Test func whatCanBeKept() {
        func problem(_ every: UInt32, _ keep: UInt32) -> String? {
            SnapshotSchedule(share: "test", everySeconds: every, keep: keep).problem
        }
        #expect(problem(3600, 24) == nil)
        #expect(problem(SnapshotSchedule.shortestSeconds, SnapshotSchedule.mostKept) == nil)
        #expect(problem(9, 24)?.contains("period") == true)
        #expect(problem(.max, 24)?.contains("period") == true)
        #expect(problem(3600, 0)?.contains("keeps") == true)
        #expect(problem(3600, 501)?.contains("keeps") == true)
    }
}

@Suite struct HandleStateTests {
    @Test func aLaterRecordReplacesAnEarlierAndATombstoneRemovesIt() {
        var state = HandleState()
        state.apply(.putOpen(Sample.open))
        var changed = Sample.open
        changed.locks = []
        state.apply(.putOpen(changed))
        #expect(state.orderedOpens == [changed])
        state.apply(.removeOpen(persistentID: changed.persistentID))
        #expect(state.opens.isEmpty)
    }

    /// A new server must never give out an id that an old one may have: neither a recorded nor a reserved one.
    @Test func idsOnlyGrow() {
        var state = HandleState()
        state.apply(.reserveIDs(below: 4096))
        state.apply(.reserveIDs(below: 100))
        #expect(state.nextPersistentID == 4096)
        state.apply(.putOpen(Sample.open))
        state.apply(.removeOpen(persistentID: Sample.open.persistentID))
        #expect(state.nextPersistentID == Sample.open.persistentID + 1)
    }

    @Test func clientsGoOneByOneAndTogether() {
        var state = HandleState()
        var other = Sample.client
        other.clientPort = 2
        state.apply(.putClient(Sample.client))
        state.apply(.putClient(other))
        #expect(state.orderedClients == [other, Sample.client])
        state.apply(.removeClient(other))
        #expect(state.orderedClients == [Sample.client])
        state.apply(.removeAllClients)
        #expect(state.clients.isEmpty)
    }
}

@Suite struct FrameReaderTests {
    @Test func framesComeOutWholeHoweverTheyArrive() throws {
        let stream = FrameReader.frame([1, 2, 3]) + FrameReader.frame([]) + FrameReader.frame([4])
        for cut in 0...stream.count {
            var reader = FrameReader()
            var frames: [[UInt8]] = []
            for part in [stream[..<cut], stream[cut...]] {
                reader.append(part)
                while let frame = try reader.next() { frames.append(frame) }
            }
            #expect(frames == [[1, 2, 3], [], [4]])
        }
    }

    @Test func aFrameBeyondTheLimitIsRefused() {
        var reader = FrameReader()
        reader.append([0xFF, 0xFF, 0xFF, 0xFF])
        #expect(throws: RecordError.self) { try reader.next() }
    }
}
