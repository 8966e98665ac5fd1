import SMB2Wire
import SMBClient

/// A client that does one thing after another with persistent handles, keeps account of all that was acknowledged, comes
/// back after each failover, repeats what was unanswered, and says so where something acknowledged is gone.
final class ChaosClient {
    /// At most so many files, open or closed, at once.
    private static let fileLimit = 24
    private static let openLimit = 8
    /// One that is longer is told with its time.
    private static let toldStallMilliseconds = 250
    /// An operation that takes longer than this has failed as far as an application is concerned.
    private static let patienceMilliseconds = 120_000
    private static let retryMilliseconds = 20

    private struct Held {
        var file: LedgerFile
        var open: DurableHandle
        var lock: LockBoard.Entry?
        /// LockSequenceNumber, 4 bits; a repeated lock is recognised by it.
        var lockSequence: UInt8 = 0
    }

    private let number: Int
    private let folder: String
    private let tally: Tally
    private let board: LockBoard
    private let clientCount: Int
    private let connection: ReturningClient
    private var random: SplitMix
    private var held: [Held] = []
    private var closed: [LedgerFile] = []
    private var made = 0
    /// Names whose absence or presence was told: each counts once.
    private var told: Set<String> = []
    private var version: UInt32 = 0
    private var lockGeneration = 0

    /// Makes `folder`, which must not be there.
    init(
        _ configuration: ClientConfiguration, share: String, folder: String, number: Int, of clientCount: Int,
        seed: UInt64, tally: Tally, board: LockBoard
    ) throws(ClientError) {
        self.number = number
        self.folder = folder
        self.tally = tally
        self.board = board
        self.clientCount = clientCount
        self.random = SplitMix(seed: seed &* 1000 &+ UInt64(number))
        self.connection = try ReturningClient(configuration, share: share)
        try self.connection.connection.makeDirectory(folder)
    }

    // MARK: What it does

    /// One thing, chosen by the seed. What the server refuses is told and does not end the client.
    func step() {
        do throws(ClientError) {
            switch Int.random(in: 0..<100, using: &self.random) {
            case 0..<38: try self.write()
            case 38..<62: try self.read()
            case 62..<66: try self.flush()
            case 66..<72: try self.lockOrUnlock()
            case 72..<78: try self.probe()
            case 78..<85: try self.create()
            case 85..<90: try self.close()
            case 90..<94: try self.reopen()
            case 94..<97: try self.rename()
            case 97..<98: try self.delete()
            default: try self.list()
            }
        } catch {
            self.tally.found(.errors, client: self.number, "\(error)")
            sleep(milliseconds: Self.retryMilliseconds)
        }
    }

    private func anyHeld() -> Int? {
        self.held.isEmpty ? nil : Int.random(in: 0..<self.held.count, using: &self.random)
    }

    private func blocks(most: Int) -> Range<Int> {
        let start = Int.random(in: 0..<LedgerFile.blockCount, using: &self.random)
        let count = min(Int.random(in: 1...most, using: &self.random), LedgerFile.blockCount - start)
        return start..<(start + count)
    }

    private func write() throws(ClientError) {
        guard let index = self.anyHeld() else { return try self.create() }
        let blocks = self.blocks(most: 16)
        self.version += 1
        let (file, version) = (self.held[index].file, self.version)
        let data = blocks.flatMap { file.contents($0, version, client: self.number) }
        try self.acknowledged { isReplay throws(ClientError) in
            let request = try self.now.postWrite(
                self.held[index].open.fileID, at: UInt64(blocks.lowerBound * LedgerFile.blockByteCount), data,
                isReplay: isReplay)
            _ = try self.now.gather(request, .write)
        }
        self.held[index].file.wrote(blocks, version)
    }

    private func read() throws(ClientError) {
        guard let index = self.anyHeld() else { return try self.create() }
        try self.check(index, self.blocks(most: 16))
    }

    private func check(_ index: Int, _ blocks: Range<Int>) throws(ClientError) {
        let bytes = try self.acknowledged { _ throws(ClientError) in
            try self.now.read(
                self.held[index].open.fileID, at: UInt64(blocks.lowerBound * LedgerFile.blockByteCount),
                count: blocks.count * LedgerFile.blockByteCount)
        }
        let file = self.held[index].file
        guard let difference = file.difference(bytes, blocks, client: self.number) else { return }
        switch difference {
        case .wrong: self.tally.found(.wrong, client: self.number, "\(file.name): \(difference)")
        case .lost, .length: self.tally.found(.lost, client: self.number, "\(file.name): \(difference)")
        }
    }

    private func flush() throws(ClientError) {
        guard let index = self.anyHeld() else { return }
        try self.acknowledged { _ throws(ClientError) in try self.now.flushFile(self.held[index].open.fileID) }
    }

    // MARK: Names

    private func path(_ name: String) -> String { "\(self.folder)\\\(name)" }

    private static let access: AccessMask = [.genericRead, .genericWrite, .delete]

    private func create() throws(ClientError) {
        guard self.held.count < Self.openLimit else { return try self.close() }
        guard self.held.count + self.closed.count < Self.fileLimit else { return try self.delete() }
        let number = self.made
        self.made += 1
        let file = LedgerFile(number: number, name: "file-\(number)")
        let parameters = OpenParameters(
            self.path(file.name), access: Self.access, disposition: .create, options: .nonDirectoryFile)
        self.held.append(Held(file: file, open: try self.open(parameters)))
    }

    /// The file that was closed some time ago has all that was written to it.
    private func reopen() throws(ClientError) {
        guard self.held.count < Self.openLimit, !self.closed.isEmpty else { return }
        let index = Int.random(in: 0..<self.closed.count, using: &self.random)
        try self.reopen(index)
        try self.check(self.held.count - 1, 0..<LedgerFile.blockCount)
    }

    private func reopen(_ index: Int) throws(ClientError) {
        let parameters = OpenParameters(
            self.path(self.closed[index].name), access: Self.access, options: .nonDirectoryFile)
        let open: DurableHandle
        do throws(ClientError) { open = try self.open(parameters) } catch {
            guard error.status == .objectNameNotFound else { throw error }
            self.tally.found(.lost, client: self.number, "\(self.closed[index].name) is gone")
            self.closed.remove(at: index)
            return
        }
        self.held.append(Held(file: self.closed.remove(at: index), open: open))
    }

    private func open(_ parameters: OpenParameters) throws(ClientError) -> DurableHandle {
        let guid = try ClientConfiguration.freshGUID()
        return try self.acknowledged { isReplay throws(ClientError) in
            let request = try self.connection.postOpen(parameters, guid, isReplay: isReplay)
            let reply = try self.now.gather(request, .create)
            let response: CreateResponse
            do throws(WireError) { response = try CreateResponse(parsing: reply.span) } catch { throw .wire(error) }
            let open = DurableHandle(parameters, guid, response)
            guard open.isPersistent else {
                throw .violation("no persistent handle was granted for \(parameters.path)")
            }
            return open
        }
    }

    private func close() throws(ClientError) {
        guard let index = self.anyHeld() else { return }
        try self.close(index)
        self.closed.append(self.held.remove(at: index).file)
    }

    /// A CLOSE that was not answered has been done where the handle cannot be reclaimed any more.
    private func close(_ index: Int) throws(ClientError) {
        if self.held[index].lock != nil { self.board.publish(nil, of: self.number) }
        try self.acknowledged(closing: index) { isReplay throws(ClientError) in
            do throws(ClientError) { try self.now.close(self.held[index].open.fileID) } catch {
                guard isReplay, error.status == .fileClosed else { throw error }
            }
        }
    }

    private func rename() throws(ClientError) {
        guard let index = self.anyHeld() else { return }
        self.made += 1
        let name = "renamed-\(self.made)"
        // The name of a file with a lock stands on the board.
        guard self.held[index].lock == nil else { return }
        var buffer = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &buffer, name: self.path(name))
        let bytes = buffer.bytes
        try self.acknowledged { isReplay throws(ClientError) in
            let request = try self.now.postSetInfo(
                self.held[index].open.fileID, informationClass: FileInformationClass.rename.rawValue, bytes,
                isReplay: isReplay)
            _ = try self.now.gather(request, .setInfo)
        }
        self.held[index].file.name = name
        self.held[index].open.parameters.path = self.path(name)
    }

    private func delete() throws(ClientError) {
        guard let index = self.anyHeld(), self.held[index].lock == nil else { return }
        try self.acknowledged { isReplay throws(ClientError) in
            let request = try self.now.postSetInfo(
                self.held[index].open.fileID, informationClass: FileInformationClass.disposition.rawValue, [1],
                isReplay: isReplay)
            _ = try self.now.gather(request, .setInfo)
        }
        try self.close(index)
        self.held.remove(at: index)
    }

    /// Exactly the files that were made, under the names that they were given.
    private func list() throws(ClientError) {
        let listed = try self.acknowledged { _ throws(ClientError) in try self.now.list(self.folder) }
        let found = Set(listed.map(\.name)).subtracting([".", ".."])
        let expected = Set(self.held.map(\.file.name) + self.closed.map(\.name))
        for name in expected.subtracting(found).sorted() where self.told.insert(name).inserted {
            self.tally.found(.lost, client: self.number, "\(name) is not listed")
        }
        for name in found.subtracting(expected).sorted() where self.told.insert(name).inserted {
            self.tally.found(.wrong, client: self.number, "\(name) is listed, and was deleted or never made")
        }
    }

    // MARK: Locks

    /// Far behind the data: the lock protects nothing but itself.
    private static let lockOffset: UInt64 = 1 << 40

    private func lockOrUnlock() throws(ClientError) {
        if let index = self.held.firstIndex(where: { $0.lock != nil }), let entry = self.held[index].lock {
            self.board.publish(nil, of: self.number)
            try self.lock(index, entry, .unlock)
            self.held[index].lock = nil
            return
        }
        guard let index = self.anyHeld() else { return }
        self.lockGeneration += 1
        let entry = LockBoard.Entry(
            path: self.path(self.held[index].file.name),
            offset: Self.lockOffset + UInt64(Int.random(in: 0..<1000, using: &self.random)), length: 100,
            generation: self.lockGeneration)
        try self.lock(index, entry, [.exclusive, .failImmediately])
        self.held[index].lock = entry
        self.board.publish(entry, of: self.number)
    }

    private func lock(_ index: Int, _ entry: LockBoard.Entry, _ flags: LockElement.Flags) throws(ClientError) {
        self.held[index].lockSequence = (self.held[index].lockSequence + 1) & 0xF
        let sequence = self.held[index].lockSequence
        try self.acknowledged { isReplay throws(ClientError) in
            try self.now.lock(
                LockRequest(
                    fileID: self.held[index].open.fileID,
                    locks: [LockElement(offset: entry.offset, length: entry.length, flags: flags)],
                    sequenceNumber: sequence, sequenceIndex: 1), isReplay: isReplay)
        }
    }

    /// Tries to take what another client has locked.
    func probe() throws(ClientError) {
        let other = (self.number + Int.random(in: 1..<max(2, self.clientCount), using: &self.random)) % self.clientCount
        guard other != self.number else { return }
        try self.probe(other)
    }

    private func probe(_ other: Int) throws(ClientError) {
        guard let entry = self.board.entry(of: other) else { return }
        let refused = try self.acknowledged { _ throws(ClientError) -> Bool in
            let file: FileID
            do throws(ClientError) {
                file = try self.now.create(
                    OpenParameters(entry.path, access: [.genericRead, .genericWrite], options: .nonDirectoryFile)
                ).fileID
            } catch {
                // Given up or deleted meanwhile: the board tells below whether it was.
                guard error.status == .objectNameNotFound || error.status == .deletePending else { throw error }
                return false
            }
            var refused = false
            do throws(ClientError) { try self.now.lock(file, offset: entry.offset, length: entry.length) } catch {
                guard error.status == .lockNotGranted else { throw error }
                refused = true
            }
            try self.now.close(file)
            return refused
        }
        if !refused, self.board.entry(of: other) == entry {
            self.tally.found(.lost, client: self.number, "the lock of client \(other) on \(entry.path)")
        }
    }

    // MARK: At the end

    /// Everything that it ever was told is there: each byte of each file, each name, each handle, each lock.
    func verify() {
        do throws(ClientError) {
            try self.list()
            for index in self.held.indices { try self.check(index, 0..<LedgerFile.blockCount) }
            for other in 0..<self.clientCount where other != self.number { try self.probe(other) }
            while !self.closed.isEmpty {
                let count = self.held.count
                try self.reopen(self.closed.count - 1)
                guard self.held.count > count else { continue }
                try self.check(count, 0..<LedgerFile.blockCount)
                try self.close(count)
                self.held.remove(at: count)
            }
        } catch {
            self.tally.found(.errors, client: self.number, "while verifying: \(error)")
        }
    }

    // MARK: Coming back

    private var now: SMBConnection { self.connection.connection }

    /// Does it until it is answered, on one server or the other, and notes how long that took.
    private func acknowledged<Result>(
        closing: Int? = nil, _ body: (_ isReplay: Bool) throws(ClientError) -> Result
    ) throws(ClientError) -> Result {
        let start = Instant.now
        let deadline = start.adding(milliseconds: Self.patienceMilliseconds)
        var isReplay = false
        while true {
            do throws(ClientError) {
                let result = try body(isReplay)
                let milliseconds = Instant.now.milliseconds(since: start)
                self.tally.acknowledged(milliseconds: milliseconds)
                if milliseconds >= Self.toldStallMilliseconds {
                    JSONLine("stall").with("client", self.number).with("milliseconds", milliseconds).print()
                }
                return result
            } catch {
                guard Instant.now < deadline else { throw error }
                if error.isConnectionLoss || ReturningClient.endsSession(error) {
                    try self.comeBack(closing, until: deadline)
                } else {
                    guard ReturningClient.isPassing(error) else { throw error }
                    sleep(milliseconds: Self.retryMilliseconds)
                }
                isReplay = true
            }
        }
    }

    /// On a new connection with every handle that it had.
    private func comeBack(_ closing: Int?, until deadline: Instant) throws(ClientError) {
        while true {
            do throws(ClientError) {
                try self.connection.comeBack()
                for index in self.held.indices {
                    try self.reclaim(index, isClosing: index == closing, until: deadline)
                }
                self.tally.reclaimed()
                return
            } catch {
                guard error.isConnectionLoss || ReturningClient.endsSession(error), Instant.now < deadline else {
                    throw error
                }
            }
        }
    }

    private func reclaim(_ index: Int, isClosing: Bool, until deadline: Instant) throws(ClientError) {
        while true {
            do throws(ClientError) { return try self.held[index].open.reclaim(on: self.now) } catch {
                guard let status = error.status, !ReturningClient.endsSession(error) else { throw error }
                if ReturningClient.isPassing(error), Instant.now < deadline {
                    sleep(milliseconds: Self.retryMilliseconds)
                    continue
                }
                // What it was about to close has been closed; the CLOSE will be told so.
                if !isClosing {
                    self.tally.found(
                        .lost, client: self.number, "the handle of \(self.held[index].file.name): \(status)")
                }
                return
            }
        }
    }
}
