import SMB2Wire
import SMBClient

/// A client that comes back after a failover as Windows' does: the same ClientGuid, the session before named, the next
/// ChannelSequence, each handle reclaimed. [MS-SMB2] 3.2.4.4, 3.2.7.1.
final class ReturningClient {
    /// How long it tries to come back.
    private static let patienceMilliseconds = 60_000
    private static let retryMilliseconds = 20

    private let configuration: ClientConfiguration
    private let share: String
    private(set) var connection: SMBConnection
    private var sequence: UInt16 = 0

    /// A file or directory that is to outlive its connection.
    struct Open {
        var parameters: OpenParameters
        let createGUID: GUID
        var fileID: FileID
        var response: CreateResponse
    }

    init(_ configuration: ClientConfiguration, share: String) throws(ClientError) {
        var configuration = configuration
        configuration.clientGUID = try ClientConfiguration.freshGUID()
        self.configuration = configuration
        self.share = share
        self.connection = try SMBConnection.open(configuration, share: share)
    }

    // MARK: Opening

    /// What a CREATE must carry to be granted a persistent handle.
    static func durable(_ parameters: OpenParameters, _ guid: GUID) -> OpenParameters {
        var durable = parameters
        durable.contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 120_000, flags: DurableRequestV2.persistentFlag, createGUID: guid)
        return durable
    }

    func open(_ parameters: OpenParameters) throws(ClientError) -> Open {
        let guid = try ClientConfiguration.freshGUID()
        let response = try self.connection.create(Self.durable(parameters, guid))
        guard response.contexts.durableV2?.isPersistent == true else {
            throw .violation("no persistent handle was granted: is the share continuously available?")
        }
        return Open(parameters: parameters, createGUID: guid, fileID: response.fileID, response: response)
    }

    /// A CREATE whose answer is not waited for.
    func postOpen(_ parameters: OpenParameters, _ guid: GUID, isReplay: Bool) throws(ClientError) -> UInt64 {
        let id = try self.connection.postCreate(
            Self.durable(parameters, guid), SMBConnection.Options(isReplay: isReplay))
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
                let connection = try SMBConnection(self.configuration)
                connection.channelSequence = self.sequence
                try connection.negotiate()
                try connection.sessionSetup(previousSessionID: session)
                try connection.treeConnect(self.share)
                self.connection = connection
                return
            } catch {
                guard error.isConnectionLoss || Self.isPassing(error.status), Instant.now < deadline else {
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
                    guard Self.isPassing(error.status) else { throw error }
                    sleep(milliseconds: Self.retryMilliseconds)
                }
            }
        }
    }

    /// DH2C. The server must know the handle: a new one would have lost what the old one held.
    func reclaim(_ open: inout Open) throws(ClientError) {
        try self.patiently { () throws(ClientError) in try self.reclaimOnce(&open) }
    }

    /// Waits while the server wakes up; a loss of the connection is the caller's.
    func reclaimOnce(_ open: inout Open) throws(ClientError) {
        var parameters = open.parameters
        parameters.contexts = CreateContexts()
        parameters.contexts.durableReconnectV2 = DurableReconnectV2(
            fileID: open.fileID, createGUID: open.createGUID, flags: DurableRequestV2.persistentFlag)
        parameters.contexts.lease = open.parameters.contexts.lease
        let response = try self.connection.create(parameters)
        open.fileID = response.fileID
        open.response = response
    }

    /// What a server answers while it wakes up or goes.
    static func isPassing(_ status: NTStatus?) -> Bool {
        guard let status else { return false }
        return Self.endsSession(status)
            || [.fileNotAvailable, .serverUnavailable, .retry, .badNetworkName, .insuffServerResources].contains(status)
    }

    /// The server does not know the session or the tree any more: a new one is needed.
    static func endsSession(_ status: NTStatus?) -> Bool {
        status == .userSessionDeleted || status == .networkNameDeleted
    }
}
