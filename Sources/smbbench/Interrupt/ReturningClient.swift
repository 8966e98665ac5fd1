import SMB2Wire
import SMBClient

/// A client that comes back after a failover as Windows' does, with whatever it had open, when its user says so.
final class ReturningClient {
    /// How long it tries to come back.
    private static let patienceMilliseconds = 60_000
    private static let retryMilliseconds = 20
    /// How long the server is asked to keep its handles.
    private static let handleMilliseconds: UInt32 = 120_000

    private let configuration: ClientConfiguration
    private let share: String
    private(set) var connection: SMBConnection
    private var sequence: UInt16 = 0

    init(_ configuration: ClientConfiguration, share: String) throws(ClientError) {
        var configuration = configuration
        configuration.clientGUID = try ClientConfiguration.freshGUID()
        self.configuration = configuration
        self.share = share
        self.connection = try SMBConnection.open(configuration, share: share)
    }

    // MARK: Opening

    func open(_ parameters: OpenParameters) throws(ClientError) -> DurableHandle {
        let open = try DurableHandle(
            parameters, on: self.connection, timeoutMilliseconds: Self.handleMilliseconds)
        guard open.isPersistent else {
            throw .violation("no persistent handle was granted: is the share continuously available?")
        }
        return open
    }

    /// A CREATE whose answer is not waited for.
    func postOpen(_ parameters: OpenParameters, _ guid: GUID, isReplay: Bool) throws(ClientError) -> UInt64 {
        let id = try self.connection.postCreate(
            DurableHandle.request(parameters, guid, timeoutMilliseconds: Self.handleMilliseconds),
            SMBConnection.Options(isReplay: isReplay))
        try self.connection.flush()
        return id
    }

    // MARK: Coming back

    /// Until the server answers again and knows the user and the share.
    func comeBack() throws(ClientError) {
        let session = self.connection.sessionID
        self.connection.stream.abort()
        self.sequence &+= 1
        let deadline = Instant.now.adding(milliseconds: Self.patienceMilliseconds)
        while true {
            do throws(ClientError) {
                self.connection = try SMBConnection.returning(
                    self.configuration, share: self.share, previousSessionID: session,
                    channelSequence: self.sequence)
                return
            } catch {
                guard error.isConnectionLoss || Self.isPassing(error), Instant.now < deadline else {
                    throw error
                }
                sleep(milliseconds: Self.retryMilliseconds)
            }
        }
    }

    /// Does it, and again after a loss (the server may not have been gone yet) or while the server wakes up.
    func patiently<Result>(_ body: () throws(ClientError) -> Result) throws(ClientError) -> Result {
        let deadline = Instant.now.adding(milliseconds: Self.patienceMilliseconds)
        while true {
            do throws(ClientError) { return try body() } catch {
                guard Instant.now < deadline else { throw error }
                if error.isConnectionLoss {
                    try self.comeBack()
                } else {
                    guard Self.isPassing(error) else { throw error }
                    sleep(milliseconds: Self.retryMilliseconds)
                }
            }
        }
    }

    func reclaim(_ open: inout DurableHandle) throws(ClientError) {
        // A closure cannot have `open` itself while it may be called again.
        let handle = open
        open = try self.patiently { () throws(ClientError) in
            var reclaimed = handle
            try reclaimed.reclaim(on: self.connection)
            return reclaimed
        }
    }

    /// Also what a server says that has just begun to serve, or that is no longer to.
    static func isPassing(_ error: ClientError) -> Bool {
        switch error.status {
        case .badNetworkName, .insuffServerResources: true
        default: error.isPassing || Self.endsSession(error)
        }
    }

    /// The server does not know the session or the tree any more: a new one is needed.
    static func endsSession(_ error: ClientError) -> Bool {
        error.status == .userSessionDeleted || error.status == .networkNameDeleted
    }
}
