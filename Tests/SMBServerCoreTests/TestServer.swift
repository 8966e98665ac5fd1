import SMB2Wire
import SMBServerCore
import StateRecords
import Testing

/// The core with its shell played by the test: bytes in, replies out, effects kept for looking at.
final class TestServer {
    var state: ServerState
    let files: MemoryFileSystem
    /// What would have been made durable, in order.
    var journal: [Mutation] = []
    /// Whether the last message's answer had to wait for the journal.
    var awaited = false
    var completions: [Completion] = []
    /// What is to be done on threads for streams that become their files' data.
    var moves: [StreamMoveOrder] = []
    /// Deletions that are to be brought to stable storage.
    var unsettled: [UnsettledDeletion] = []

    static let configuration = ServerConfiguration(
        serverGUID: GUID16(low: 7, high: 8), serverName: "TEST", domain: (1, 2, 3),
        users: [
            UserRecord(name: "alice", ntHash: [], relativeID: 1000),
            UserRecord(name: "bob", ntHash: [], relativeID: 1001),
            UserRecord(name: "root", ntHash: [], relativeID: 500, isAdministrator: true),
        ], requiresSigning: false)

    init(files: MemoryFileSystem = MemoryFileSystem(), capacity: ServerCapacity = .unbounded) {
        self.files = files
        self.state = ServerState(
            configuration: Self.configuration, capacity: capacity, negotiateToken: [1, 2, 3], seed: 9,
            makeSalt: { [UInt8](repeating: 5, count: 32) })
        self.state.now = 1000
        self.state.configure(
            Self.configuration,
            shares: [
                Share(record: ShareRecord(name: "test", path: "/"), fileSystem: files),
                Share(record: ShareRecord(name: "backups", path: "/", isTimeMachine: true), fileSystem: files),
                Share(record: ShareRecord(name: "plain", path: "/", offersPOSIX: false), fileSystem: files),
                Share(record: ShareRecord(name: "ca", path: "/", isContinuouslyAvailable: true), fileSystem: files),
            ])
    }

    func takeEffects() {
        self.journal.append(contentsOf: self.state.mutations)
        self.unsettled += self.state.unsettledDeletions
        self.state.unsettledDeletions = []
        self.moves += self.state.streamMoveOrders
        self.state.streamMoveOrders = []
        self.awaited = self.state.mutationsAwaited
        while !self.state.completions.isEmpty {
            let completions = self.state.completions
            self.state.completions = []
            self.completions.append(contentsOf: completions)
            for id in completions.compactMap(\.continuation) { self.state.continueCompound(id) }
        }
        self.state.mutations = []
        self.state.mutationsAwaited = false
        self.state.notes = []
    }

    /// A frame of whole messages; the answers are cut apart again.
    func exchange(
        _ connection: Connection.ID, _ messages: [[UInt8]], signature: SignatureCheck = .absent,
        encryptedFor session: UInt64? = nil
    ) -> [TestReply] {
        var frame = RequestFrame(connection: connection, encryptedFor: session)
        var replies: [TestReply] = []
        for (index, message) in messages.enumerated() {
            frame.isLast = index == messages.count - 1
            var writer = WireWriter()
            var outcome = self.state.process(message.span.bytes, &frame, signature: signature, into: &writer)
            if case .authenticate(let authentication) = outcome {
                // The token is the user's name; "?" is somebody who is not let in, "-" nobody in particular.
                let name = String(decoding: message[authentication.token], as: UTF8.self)
                let result: AuthenticationResult =
                    name == "?"
                    ? .failure(.logonFailure, detail: "refused")
                    : .success(token: [], userName: name == "-" ? "" : name, isAnonymous: name == "-")
                outcome = self.state.finishSessionSetup(authentication, result, into: &writer)
            }
            self.takeEffects()
            switch outcome {
            case .reply(let reply): replies.append(TestReply(bytes: writer.bytes, reply: reply))
            case .silent, .waiting: break
            case .disconnect(let reason): replies.append(TestReply(disconnect: reason))
            case .authenticate: replies.append(TestReply(disconnect: "authentication twice"))
            }
        }
        return replies
    }
}

struct TestReply {
    var bytes: [UInt8] = []
    var reply: Reply?
    var disconnect: String?

    init(bytes: [UInt8], reply: Reply) {
        self.bytes = bytes
        self.reply = reply
    }

    init(disconnect: String) { self.disconnect = disconnect }

    var header: SMB2Header? { try? SMB2Header(parsing: self.bytes.span.bytes) }
    var status: NTStatus? { self.header?.status }
    var create: CreateResponse? { try? CreateResponse(parsing: self.bytes.span.bytes) }
}

/// What reaches a client without being the immediate answer to a request.
enum Received: Equatable {
    case oplockBreak(FileID, OplockLevel)
    case leaseBreak(LeaseBreakNotification)
    /// The answer to a request that waited, or that came behind one that did.
    case answer(SMB2Command?, messageID: UInt64, NTStatus)

    init?(_ completion: Completion) {
        let message = completion.message.span.bytes
        guard let header = try? SMB2Header(parsing: message) else { return nil }
        guard header.messageID == .max else {
            self = .answer(header.command, messageID: header.messageID, header.status)
            return
        }
        if let lease = try? LeaseBreakNotification(parsing: message) {
            self = .leaseBreak(lease)
        } else if let oplock = try? OplockBreak(parsing: message) {
            self = .oplockBreak(oplock.fileID, oplock.level)
        } else {
            return nil
        }
    }
}

/// A client that speaks just enough to drive the core.
final class TestClient {
    let server: TestServer
    let connection: Connection.ID
    private(set) var session: UInt64 = 0
    private(set) var tree: UInt32 = 0
    private var nextMessage: UInt64 = 0
    var channelSequence: UInt16 = 0
    var guid: GUID
    var ciphers: [Cipher] = [.aes128GCM, .aes128CCM]
    var signingAlgorithms: [SigningAlgorithm] = [.aesGMAC, .aesCMAC]
    /// Offers the POSIX extensions in NEGOTIATE.
    var wantsPOSIX = false

    init(_ server: TestServer, guid: GUID = GUID(low: 1, high: 1)) throws {
        self.server = server
        self.guid = guid
        let connection = server.state.connected(
            ClientRecord(clientAddress: [1, 2, 3, 4], clientPort: 5, serverAddress: [1, 2, 3, 4], serverPort: 445))
        self.connection = try #require(connection)
        server.takeEffects()
    }

    func message(
        _ command: SMB2Command, related: Bool = false, replay: Bool = false, id: UInt64? = nil,
        _ body: (inout WireWriter) -> Void
    ) -> [UInt8] {
        var header = SMB2Header(
            command: command, creditCharge: 1, credits: 32, messageID: id ?? self.nextMessage,
            treeID: related ? .max : self.tree, sessionID: related ? .max : self.session)
        if id == nil { self.nextMessage += 1 }
        if related { header.flags.insert(.related) }
        if replay { header.flags.insert(.replay) }
        header.channelSequence = self.channelSequence
        var writer = WireWriter()
        header.encode(into: &writer)
        body(&writer)
        return writer.bytes
    }

    func send(_ message: [UInt8], signature: SignatureCheck = .absent) throws -> TestReply {
        try #require(
            self.server.exchange(
                self.connection, [message], signature: signature, encryptedFor: self.isEncrypting ? self.session : nil
            ).first)
    }

    /// Sends what waits without a word. Its message id, by which its answer is found.
    func sendWaiting(_ message: [UInt8]) throws -> UInt64 {
        #expect(self.server.exchange(self.connection, [message]).isEmpty)
        return try SMB2Header(parsing: message.span.bytes).messageID
    }

    private var dialect = Dialect.smb202

    @discardableResult
    func negotiate(_ dialects: [Dialect] = [.smb302]) throws -> TestReply {
        var contexts: NegotiateContexts?
        if dialects.contains(.smb311) {
            contexts = NegotiateContexts()
            contexts?.preauthIntegrity = PreauthIntegrityCapabilities(hashAlgorithms: [.sha512], salt: [1])
            contexts?.ciphers = self.ciphers
            contexts?.signingAlgorithms = self.signingAlgorithms
            if self.wantsPOSIX { contexts?.posix = POSIXExtensions.negotiateData }
        }
        let request = NegotiateRequest(
            securityMode: .signingEnabled,
            capabilities: [
                .persistentHandles, .largeMTU, .encryption, .leasing, .directoryLeasing, .multiChannel,
            ],
            clientGUID: self.guid, dialects: dialects, contexts: contexts)
        self.dialect = dialects.max() ?? .smb202
        return try self.send(self.message(.negotiate) { request.encode(into: &$0) })
    }

    @discardableResult
    func logOn(_ user: String = "alice", previous: UInt64 = 0) throws -> TestReply {
        let request = SessionSetupRequest(securityMode: .signingEnabled, previousSessionID: previous)
        let reply = try self.send(
            self.message(.sessionSetup) { request.encode(into: &$0, token: Array(user.utf8).span.bytes) })
        if reply.status == .success { self.session = reply.header?.sessionID ?? 0 }
        return reply
    }

    /// Asks for this connection to become a channel of the other's session; then it uses the other's tree, too.
    @discardableResult
    func bind(
        to other: TestClient, user: String = "alice", isSigned: Bool = true, signature: SignatureCheck = .valid
    ) throws -> TestReply {
        let before = self.session
        self.session = other.session
        let request = SessionSetupRequest(flags: SessionSetupRequest.bindingFlag, securityMode: .signingEnabled)
        var message = self.message(.sessionSetup) { request.encode(into: &$0, token: Array(user.utf8).span.bytes) }
        if isSigned { message[16] |= 8 }
        let reply = try self.send(message, signature: isSigned ? signature : .absent)
        if reply.status == .success { self.tree = other.tree } else { self.session = before }
        return reply
    }

    /// Another connection of the same client, bound to the same session.
    func channel() throws -> TestClient {
        let channel = try TestClient(self.server, guid: self.guid)
        try channel.negotiate()
        try #require(try channel.bind(to: self).status == .success)
        return channel
    }

    /// Authenticates the session anew.
    @discardableResult
    func logOnAgain(_ user: String = "alice") throws -> TestReply {
        let request = SessionSetupRequest(securityMode: .signingEnabled)
        return try self.send(
            self.message(.sessionSetup) { request.encode(into: &$0, token: Array(user.utf8).span.bytes) })
    }

    /// Sends everything encrypted from now on, as far as the core can tell.
    var isEncrypting = false

    @discardableResult
    func connect(_ share: String = "test") throws -> TestReply {
        var message = self.message(.treeConnect) {
            TreeConnectRequest().encode(into: &$0, path: "\\\\server\\\(share)")
        }
        // 3.1.1 insists.
        let signs = self.dialect == .smb311 && !self.isEncrypting
        if signs { message[16] |= 8 }
        let reply = try self.send(message, signature: signs ? .valid : .absent)
        if reply.status == .success { self.tree = reply.header?.treeID ?? 0 }
        return reply
    }

    /// All of the above.
    static func ready(
        _ server: TestServer, share: String = "test", user: String = "alice", guid: GUID = GUID(low: 1, high: 1),
        previous: UInt64 = 0
    ) throws -> TestClient {
        let client = try TestClient(server, guid: guid)
        try client.negotiate()
        try #require(try client.logOn(user, previous: previous).status == .success)
        try #require(try client.connect(share).status == .success)
        return client
    }

    func createMessage(
        _ name: String, access: AccessMask = [.readData, .writeData], share: ShareAccess = .all,
        disposition: CreateDisposition = .openIf, options: CreateOptions = [], oplock: OplockLevel? = nil,
        replay: Bool = false, contexts: CreateContexts = CreateContexts()
    ) -> [UInt8] {
        let request = CreateRequest(
            desiredAccess: access, shareAccess: share, disposition: disposition, options: options,
            oplockLevel: oplock ?? (contexts.lease == nil ? .none : .lease), contexts: contexts)
        return self.message(.create, replay: replay) { request.encode(into: &$0, name: name) }
    }

    func create(
        _ name: String, access: AccessMask = [.readData, .writeData], share: ShareAccess = .all,
        disposition: CreateDisposition = .openIf, options: CreateOptions = [], oplock: OplockLevel? = nil,
        replay: Bool = false, contexts: CreateContexts = CreateContexts()
    ) throws -> TestReply {
        try self.send(
            self.createMessage(
                name, access: access, share: share, disposition: disposition, options: options, oplock: oplock,
                replay: replay, contexts: contexts))
    }

    func open(
        _ name: String, access: AccessMask = [.readData, .writeData], share: ShareAccess = .all,
        options: CreateOptions = [], contexts: CreateContexts = CreateContexts()
    ) throws -> FileID {
        let reply = try self.create(name, access: access, share: share, options: options, contexts: contexts)
        return try #require(reply.create).fileID
    }

    func close(_ file: FileID) throws -> NTStatus? {
        try self.send(self.message(.close) { CloseRequest(fileID: file).encode(into: &$0) }).status
    }

    func write(
        _ file: FileID, at offset: UInt64 = 0, _ data: [UInt8] = [1, 2, 3], replay: Bool = false
    ) throws -> TestReply {
        try self.send(
            self.message(.write, replay: replay) {
                WriteRequest(fileID: file, offset: offset).encode(into: &$0, data: data.span.bytes)
            })
    }

    func read(_ file: FileID, at offset: UInt64 = 0, length: UInt32 = 3) throws -> TestReply {
        try self.send(
            self.message(.read) { ReadRequest(fileID: file, offset: offset, length: length).encode(into: &$0) })
    }

    func lock(
        _ file: FileID, _ elements: [LockElement], sequenceNumber: UInt8 = 0, sequenceIndex: UInt32 = 0
    ) throws -> TestReply {
        let request = LockRequest(
            fileID: file, locks: elements, sequenceNumber: sequenceNumber, sequenceIndex: sequenceIndex)
        return try self.send(self.message(.lock) { request.encode(into: &$0) })
    }

    func setFileMessage(
        _ file: FileID, _ level: FileInformationClass, _ data: [UInt8], related: Bool = false
    ) -> [UInt8] {
        let request = SetInfoRequest(infoType: .file, informationClass: level.rawValue, fileID: file)
        return self.message(.setInfo, related: related) { request.encode(into: &$0, buffer: data.span.bytes) }
    }

    func setFile(_ file: FileID, _ level: FileInformationClass, _ data: [UInt8]) throws -> TestReply {
        try self.send(self.setFileMessage(file, level, data))
    }

    func control(_ file: FileID, _ code: ControlCode, _ input: [UInt8] = [], replay: Bool = false) throws -> TestReply {
        let request = IoctlRequest(code: code, fileID: file, maximumOutputResponse: 4096)
        return try self.send(
            self.message(.ioctl, replay: replay) { request.encode(into: &$0, input: input.span.bytes) })
    }

    func acknowledge(_ file: FileID, _ level: OplockLevel) throws -> TestReply {
        try self.send(self.message(.oplockBreak) { OplockBreak(level: level, fileID: file).encode(into: &$0) })
    }

    func acknowledge(_ lease: GUID, _ state: LeaseState) throws -> TestReply {
        try self.send(
            self.message(.oplockBreak) { LeaseBreakAcknowledgement(leaseKey: lease, state: state).encode(into: &$0) })
    }

    /// What the server sent by itself or late, oldest first; it is taken.
    func received() -> [Received] {
        let mine = self.server.completions.filter { $0.connection == self.connection }
        self.server.completions.removeAll { $0.connection == self.connection }
        return mine.compactMap { Received($0) }
    }

    /// The TCP connection breaks.
    func disconnect() {
        self.server.state.disconnected(self.connection)
        self.server.takeEffects()
    }
}
