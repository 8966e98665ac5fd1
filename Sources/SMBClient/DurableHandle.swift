import SMB2Wire

/// A file or directory whose handle is to outlive its connection: how it is asked for, and how its client has it back.
/// [MS-SMB2] 3.2.4.3.5, 3.2.4.4.
package struct DurableHandle: Sendable {
    /// What was asked for, without the durable context; the path changes with a rename.
    package var parameters: OpenParameters
    package let createGUID: GUID
    /// Of the CREATE, or of the one that reclaimed it last.
    package private(set) var response: CreateResponse
    /// What the server promised at the first CREATE.
    package let isPersistent: Bool

    package var fileID: FileID { self.response.fileID }

    package init(
        _ parameters: OpenParameters, on connection: SMBConnection, timeoutMilliseconds: UInt32
    ) throws(ClientError) {
        let guid = try ClientConfiguration.freshGUID()
        let response = try connection.create(
            Self.request(parameters, guid, timeoutMilliseconds: timeoutMilliseconds))
        self.init(parameters, guid, response)
    }

    /// Of a CREATE that was posted as ``request(_:_:timeoutMilliseconds:)`` says, and answered.
    package init(_ parameters: OpenParameters, _ createGUID: GUID, _ response: CreateResponse) {
        self.parameters = parameters
        self.createGUID = createGUID
        self.response = response
        self.isPersistent = response.contexts.durableV2?.isPersistent ?? false
    }

    /// With what a CREATE must carry to be granted a persistent handle.
    package static func request(
        _ parameters: OpenParameters, _ createGUID: GUID, timeoutMilliseconds: UInt32
    ) -> OpenParameters {
        var durable = parameters
        durable.contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: timeoutMilliseconds, flags: DurableRequestV2.persistentFlag, createGUID: createGUID)
        return durable
    }

    /// DH2C, on a connection that came back. The server must know the handle: a new one would have lost what the old one held.
    package mutating func reclaim(on connection: SMBConnection) throws(ClientError) {
        var parameters = self.parameters
        parameters.contexts = CreateContexts()
        parameters.contexts.durableReconnectV2 = DurableReconnectV2(
            fileID: self.fileID, createGUID: self.createGUID,
            flags: self.isPersistent ? DurableRequestV2.persistentFlag : 0)
        parameters.contexts.lease = self.parameters.contexts.lease
        self.response = try connection.create(parameters)
    }
}

extension SMBConnection {
    /// The same client (its ClientGuid is the configuration's) on a new connection: the session before is named, and what it
    /// repeats carries the next ChannelSequence. [MS-SMB2] 3.2.4.4, 3.2.7.1.
    package static func returning(
        _ configuration: ClientConfiguration, share: String, previousSessionID: UInt64, channelSequence: UInt16
    ) throws(ClientError) -> SMBConnection {
        let connection = try SMBConnection(configuration)
        connection.channelSequence = channelSequence
        try connection.negotiate()
        try connection.sessionSetup(previousSessionID: previousSessionID)
        try connection.treeConnect(share)
        return connection
    }
}

extension ClientError {
    /// What a server answers while it takes over: the same is worth asking again.
    package var isPassing: Bool {
        switch self.status {
        case .fileNotAvailable, .serverUnavailable, .retry: true
        default: false
        }
    }
}
