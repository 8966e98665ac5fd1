import SMB2Wire

/// One open file that outlives its connection, as Windows' client keeps a persistent handle: on a loss it connects
/// anew, authenticates with PreviousSessionId, connects the tree, reclaims the handle with DH2C and repeats what was
/// unanswered, marked as a replay under the next ChannelSequence. [MS-SMB2] 3.2.4.4, 3.2.7.1.
/// Nothing else is told to the new server: share mode and locks have to be there already.
package final class ResilientFile {
    package enum Event: Sendable {
        case lost(String)
        /// Milliseconds from the loss to the reclaimed handle, and how many connections were tried.
        case reclaimed(milliseconds: Int, attempts: Int)
    }

    package struct Limits: Sendable {
        /// The server keeps a persistent handle for so long, so a client tries for as long.
        package var reclaimMilliseconds = 180_000
        /// Short, so that the first attempt after the address moved is not one that waits for the old machine.
        package var connectTimeoutMilliseconds = 400
        /// Silence that counts as a loss. A reset comes sooner, where somebody sends one.
        package var requestTimeoutMilliseconds = 3000
        package var retryMilliseconds = 20

        package init() {}
    }

    private enum Operation {
        case write(offset: UInt64, data: [UInt8])
        case read(offset: UInt64, count: Int)
        case lock(LockRequest)
        case flush

        var command: SMB2Command {
            switch self {
            case .write: .write
            case .read: .read
            case .lock: .lock
            case .flush: .flush
            }
        }
    }

    private var configuration: ClientConfiguration
    private let share: String
    private let limits: Limits
    private let observer: (Event) -> Void

    private var connection: SMBConnection?
    private var sessionID: UInt64 = 0
    private var channelSequence: UInt16 = 0
    /// LockSequenceNumber of the bucket that all locks use.
    private var lockSequence: UInt8 = 0
    private var handle: DurableHandle
    /// Of the first CREATE.
    package let action: CreateAction
    package let endOfFile: UInt64
    package var fileID: FileID { self.handle.fileID }
    package var isPersistent: Bool { self.handle.isPersistent }
    package private(set) var reclaims = 0
    package private(set) var longestStallMilliseconds = 0

    /// Opens `parameters` with a request for a persistent handle, on a first connection that must succeed.
    package init(
        _ configuration: ClientConfiguration, share: String, _ parameters: OpenParameters, limits: Limits = Limits(),
        observer: @escaping (Event) -> Void = { _ in }
    ) throws(ClientError) {
        var configuration = configuration
        configuration.connectTimeoutMilliseconds = limits.connectTimeoutMilliseconds
        configuration.requestTimeoutMilliseconds = limits.requestTimeoutMilliseconds
        let connection = try SMBConnection.open(configuration, share: share)
        let handle = try DurableHandle(
            parameters, on: connection, timeoutMilliseconds: UInt32(clamping: limits.reclaimMilliseconds))
        self.configuration = configuration
        self.share = share
        self.limits = limits
        self.observer = observer
        self.connection = connection
        self.sessionID = connection.sessionID
        self.handle = handle
        self.action = handle.response.action
        self.endOfFile = handle.response.information.endOfFile
    }

    // MARK: Operations

    package func write(at offset: UInt64, _ data: [UInt8]) throws(ClientError) {
        let reply = try self.perform(.write(offset: offset, data: data))
        let count = try wire { () throws(WireError) in try WriteResponse(parsing: reply.span) }.count
        guard Int(count) == data.count else { throw .violation("\(count) of \(data.count) bytes written") }
    }

    package func read(at offset: UInt64, count: Int) throws(ClientError) -> [UInt8] {
        let reply = try self.perform(.read(offset: offset, count: count), accepting: [.endOfFile])
        if reply.header.status == .endOfFile { return [] }
        let response = try wire { () throws(WireError) in try ReadResponse(parsing: reply.span) }
        return reply.bytes(response.data)
    }

    package func flush() throws(ClientError) { _ = try self.perform(.flush) }

    /// Locks are numbered so that a repeated one is recognised. [MS-SMB2] 3.2.4.19, 3.3.5.14.
    package func lock(_ element: LockElement) throws(ClientError) {
        self.lockSequence = (self.lockSequence + 1) & 0xF
        _ = try self.perform(
            .lock(
                LockRequest(
                    fileID: self.fileID, locks: [element], sequenceNumber: self.lockSequence, sequenceIndex: 1)))
    }

    /// Closes without any retry; the connection ends with it.
    package func close() throws(ClientError) {
        guard let connection else { return }
        try connection.close(self.fileID)
        try connection.logoff()
        self.connection = nil
    }

    private func perform(_ operation: Operation, accepting: [NTStatus] = []) throws(ClientError) -> Reply {
        let deadline = Instant.now.adding(milliseconds: self.limits.reclaimMilliseconds)
        var isReplay = false
        while true {
            let connection = try self.connected()
            do throws(ClientError) {
                let messageID = try self.post(operation, on: connection, isReplay: isReplay)
                let reply = try connection.gather(messageID)
                let status = reply.header.status
                if status == .success || accepting.contains(status) { return reply }
                let refusal = ClientError.status(status, operation.command)
                guard refusal.isPassing, Instant.now < deadline else { throw refusal }
                // The server is still waking up.
                sleep(milliseconds: self.limits.retryMilliseconds)
            } catch {
                let endsSession = error.status.map { $0 == .userSessionDeleted || $0 == .networkNameDeleted } ?? false
                guard error.isConnectionLoss || endsSession, Instant.now < deadline else { throw error }
                try self.reclaim("\(error)")
            }
            isReplay = true
        }
    }

    private func post(
        _ operation: Operation, on connection: SMBConnection, isReplay: Bool
    ) throws(ClientError) -> UInt64 {
        switch operation {
        case .write(let offset, let data):
            return try connection.postWrite(self.fileID, at: offset, data, isReplay: isReplay)
        case .read(let offset, let count):
            return try connection.postRead(self.fileID, at: offset, count: count)
        case .lock(var request):
            request.fileID = self.fileID
            return try connection.postLock(request, isReplay: isReplay)
        case .flush:
            let request = FlushRequest(fileID: self.fileID)
            return try connection.post(.flush) { request.encode(into: &$0) }
        }
    }

    private func connected() throws(ClientError) -> SMBConnection {
        if self.connection == nil { try self.reclaim("no connection") }
        guard let connection else { throw .disconnected("not reclaimed") }
        return connection
    }

    // MARK: Reclaiming

    private func reclaim(_ why: String) throws(ClientError) {
        let start = Instant.now
        let deadline = start.adding(milliseconds: self.limits.reclaimMilliseconds)
        self.connection?.stream.abort()
        self.connection = nil
        self.channelSequence &+= 1
        self.observer(.lost(why))
        var attempts = 0
        while true {
            attempts += 1
            do throws(ClientError) {
                try self.reclaimOnce()
                let milliseconds = Instant.now.milliseconds(since: start)
                self.reclaims += 1
                self.longestStallMilliseconds = max(self.longestStallMilliseconds, milliseconds)
                self.observer(.reclaimed(milliseconds: milliseconds, attempts: attempts))
                return
            } catch {
                guard error.isConnectionLoss || error.isPassing, Instant.now < deadline else { throw error }
                sleep(milliseconds: self.limits.retryMilliseconds)
            }
        }
    }

    private func reclaimOnce() throws(ClientError) {
        let connection = try SMBConnection.returning(
            self.configuration, share: self.share, previousSessionID: self.sessionID,
            channelSequence: self.channelSequence)
        try self.handle.reclaim(on: connection)
        self.sessionID = connection.sessionID
        self.connection = connection
    }
}
