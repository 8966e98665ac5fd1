import Glibc
import SMB2Wire
import SMBClient

/// One connection's part of the load. Used by one thread at a time.
final class Load: @unchecked Sendable {
    // Sendable: handed to a thread and taken back only after that thread was joined.
    private let configuration: ClientConfiguration
    private let target: Target
    private let path: String
    private let fileByteCount: Int
    private var connection: SMBConnection?
    private var file: FileID?
    private var payload: [UInt8] = []

    /// Nanoseconds of each finished request, capped at four seconds.
    private(set) var latencies: [UInt32] = []
    /// Of the CREATEs that are followed by something, alone.
    private(set) var openLatencies: [UInt32] = []
    private(set) var failure: ClientError?

    init(_ configuration: ClientConfiguration, _ target: Target, file: String, fileByteCount: Int) {
        self.configuration = configuration
        self.target = target
        self.path = target.path.isEmpty ? file : "\(target.path)\\\(file)"
        self.fileByteCount = fileByteCount
    }

    /// Connects where that is still to be done, and makes the file as long as the reads need it.
    func prepare(_ work: Work, _ size: Int) throws(ClientError) {
        let connection: SMBConnection
        if let existing = self.connection {
            connection = existing
        } else {
            connection = try SMBConnection.open(self.configuration, share: self.target.share)
            self.connection = connection
            self.file =
                try connection.create(
                    OpenParameters(
                        self.path, access: [.genericRead, .genericWrite], disposition: .openIf,
                        options: .nonDirectoryFile)
                ).fileID
        }
        if size > 0 { self.payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) } }
        guard work == .read, let file else { return }
        let chunk = [UInt8](repeating: 0x5A, count: min(1 << 20, connection.maximumWriteSize))
        var offset = UInt64(try connection.read(file, at: UInt64(self.fileByteCount - 1), count: 1).isEmpty ? 0 : 1)
        if offset == 1 { return }
        while offset < UInt64(self.fileByteCount) {
            offset += UInt64(try connection.write(file, at: offset, chunk))
        }
    }

    /// Keeps `queue` requests under way until the deadline, then waits for the last of them.
    func run(_ work: Work, _ size: Int, queue: Int, until deadline: Instant) {
        self.latencies.removeAll(keepingCapacity: true)
        self.openLatencies.removeAll(keepingCapacity: true)
        self.failure = nil
        do throws(ClientError) {
            guard let connection, let file else { throw .disconnected("not prepared") }
            switch work {
            case .read, .write: try self.transfer(connection, file, work, size, queue, deadline)
            case .open, .openData, .persistent: try self.openAndClose(connection, work, queue, deadline)
            case .stat: try self.stat(connection, queue, deadline)
            }
        } catch {
            self.failure = error
        }
    }

    private func note(_ start: Instant) {
        self.latencies.append(UInt32(clamping: Instant.now.nanoseconds(since: start)))
    }

    private func check(_ reply: Reply, _ command: SMB2Command) throws(ClientError) {
        guard reply.header.status == .success else { throw .status(reply.header.status, command) }
    }

    private func transfer(
        _ connection: SMBConnection, _ file: FileID, _ work: Work, _ size: Int, _ queue: Int, _ deadline: Instant
    ) throws(ClientError) {
        var starts: [UInt64: Instant] = [:]
        var offset = 0
        let end = max(size, self.fileByteCount / size * size)
        while true {
            let now = Instant.now
            while starts.count < queue, now < deadline {
                let messageID =
                    work == .read
                    ? try connection.postRead(file, at: UInt64(offset), count: size)
                    : try connection.postWrite(file, at: UInt64(offset), self.payload)
                starts[messageID] = now
                offset = (offset + size) % end
            }
            guard !starts.isEmpty else { return }
            let messageID = try connection.nextAnswered()
            let reply = try connection.gather(messageID)
            try self.check(reply, work == .read ? .read : .write)
            guard let start = starts.removeValue(forKey: messageID) else { continue }
            self.note(start)
        }
    }

    private func openAndClose(
        _ connection: SMBConnection, _ work: Work, _ queue: Int, _ deadline: Instant
    ) throws(ClientError) {
        let isPersistent = work == .persistent
        let parameters = OpenParameters(self.path, access: work == .open ? [.readAttributes] : [.genericRead])
        var starts: [UInt64: Instant] = [:]
        var closing: [UInt64: Instant] = [:]
        while true {
            let now = Instant.now
            while starts.count + closing.count < queue, now < deadline {
                let request =
                    isPersistent
                    ? DurableHandle.request(parameters, try ClientConfiguration.freshGUID(), timeoutMilliseconds: 0)
                    : parameters
                starts[try connection.postCreate(request)] = now
            }
            guard !starts.isEmpty || !closing.isEmpty else { return }
            let messageID = try connection.nextAnswered()
            let reply = try connection.gather(messageID)
            if let start = starts.removeValue(forKey: messageID) {
                try self.check(reply, .create)
                let response: CreateResponse
                do throws(WireError) { response = try CreateResponse(parsing: reply.span) } catch { throw .wire(error) }
                guard !isPersistent || response.contexts.durableV2?.isPersistent == true else {
                    throw .violation("the handle is not persistent: is the share continuously available?")
                }
                self.openLatencies.append(UInt32(clamping: Instant.now.nanoseconds(since: start)))
                closing[try connection.postClose(response.fileID)] = start
            } else if let start = closing.removeValue(forKey: messageID) {
                try self.check(reply, .close)
                self.note(start)
            }
        }
    }

    private func stat(_ connection: SMBConnection, _ queue: Int, _ deadline: Instant) throws(ClientError) {
        let path = self.path
        let parts = [
            SMBConnection.Part(.create) {
                CreateRequest(desiredAccess: .readAttributes, shareAccess: .all, disposition: .open)
                    .encode(into: &$0, name: path)
            },
            SMBConnection.Part(.queryInfo) {
                QueryInfoRequest(
                    infoType: .file, informationClass: FileInformationClass.all.rawValue, fileID: .related,
                    outputBufferLength: 4096
                ).encode(into: &$0, input: RawSpan())
            },
            SMBConnection.Part(.close) { CloseRequest(fileID: .related).encode(into: &$0) },
        ]
        /// By the message id of the CLOSE, which is answered last.
        var starts: [UInt64: Instant] = [:]
        while true {
            let now = Instant.now
            while starts.count < queue, now < deadline {
                guard let last = try connection.postCompound(parts).last else { return }
                starts[last] = now
            }
            guard !starts.isEmpty else { return }
            let messageID = try connection.nextAnswered()
            let reply = try connection.gather(messageID)
            guard reply.header.status == .success || reply.header.status == .bufferOverflow else {
                throw .status(reply.header.status, reply.header.command ?? .create)
            }
            guard let start = starts.removeValue(forKey: messageID) else { continue }
            self.note(start)
        }
    }
}
