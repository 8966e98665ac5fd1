import SMB2Wire
import SMBServerCore
import StateRecords

/// The server's core with files in memory, a session, both trees and one open file: new for each input, so that a finding
/// needs nothing but its bytes.
package final class CoreServer {
    private var state: ServerState
    private let connection: Connection.ID
    private var session: UInt64 = 0
    private var trees: (files: UInt32, pipes: UInt32) = (0, 0)
    private var nextMessageID: UInt64 = 0

    package init() {
        let configuration = ServerConfiguration(
            serverGUID: GUID16(low: 7, high: 8), serverName: "FUZZ", domain: (1, 2, 3),
            users: [UserRecord(name: "alice", ntHash: [], relativeID: 1000)], requiresSigning: false)
        self.state = ServerState(
            configuration: configuration, negotiateToken: [1], seed: 9,
            makeSalt: { [UInt8](repeating: 5, count: 32) })
        self.state.now = 1000
        self.state.pipeSecurity = CredulousMechanisms()
        self.state.configure(
            configuration,
            shares: [
                Share(
                    record: ShareRecord(name: "test", path: "/", isContinuouslyAvailable: true),
                    fileSystem: MemoryFileSystem())
            ])
        let client = ClientRecord(
            clientAddress: [1, 2, 3, 4], clientPort: 5, serverAddress: [1, 2, 3, 4], serverPort: 445)
        guard let connection = self.state.connected(client) else { preconditionFailure("no connection") }
        self.connection = connection
        self.logOn()
    }

    // MARK: Inputs

    /// A frame: one message or a compound.
    func receive(_ frame: [UInt8]) {
        let file = self.open("f", self.trees.files)
        self.send(frame, self.trees.files, file)
        self.leave()
    }

    /// The kinds of the PDUs that a pipe answers these with, each said by itself behind a bind; nil where it says nothing.
    package func kinds(of packets: [[UInt8]], on service: PipeService) -> [UInt8?] {
        let pipe = self.open(service.rawValue, self.trees.pipes)
        return ([PipeSeeds.bind(service.interface)] + packets).map { packet in
            let answer = self.request(.ioctl, self.trees.pipes) {
                IoctlRequest(code: .pipeTransceive, fileID: pipe, maximumOutputResponse: 1 << 16)
                    .encode(into: &$0, input: packet.span.bytes)
            }
            guard let bytes = answer?.bytes, let response = try? IoctlResponse(parsing: bytes.span.bytes) else {
                return nil
            }
            return try? RPCHeader(parsing: bytes.span.bytes.extracting(response.output)).kind
        }.dropFirst().map { $0 }
    }

    /// What is said to each pipe, before a bind and behind one.
    func call(_ packet: [UInt8]) {
        for service in PipeService.allCases {
            for bind in [[], PipeSeeds.bind(service.interface)] {
                let pipe = self.open(service.rawValue, self.trees.pipes)
                for stub in [bind, packet] where !stub.isEmpty {
                    self.request(.ioctl, self.trees.pipes) {
                        IoctlRequest(code: .pipeTransceive, fileID: pipe, maximumOutputResponse: 4096)
                            .encode(into: &$0, input: stub.span.bytes)
                    }
                }
                self.request(.close, self.trees.pipes) { CloseRequest(fileID: pipe).encode(into: &$0) }
            }
        }
        self.leave()
    }

    // MARK: A client

    private func logOn() {
        let negotiate = NegotiateRequest(
            securityMode: .signingEnabled,
            capabilities: [.persistentHandles, .largeMTU, .encryption, .leasing, .directoryLeasing],
            clientGUID: GUID(low: 1, high: 1), dialects: [.smb302])
        self.request(.negotiate, 0) { negotiate.encode(into: &$0) }
        let setup = SessionSetupRequest(securityMode: .signingEnabled)
        let answer = self.request(.sessionSetup, 0) {
            setup.encode(into: &$0, token: Array("alice".utf8).span.bytes)
        }
        self.session = answer?.header.sessionID ?? 0
        self.trees.files = self.connect("test")
        self.trees.pipes = self.connect("IPC$")
    }

    private func connect(_ share: String) -> UInt32 {
        let path = "\\\\server\\\(share)"
        return self.request(.treeConnect, 0) { TreeConnectRequest().encode(into: &$0, path: path) }?.header.treeID ?? 0
    }

    private func open(_ name: String, _ tree: UInt32) -> FileID {
        let create = CreateRequest(
            desiredAccess: [.readData, .writeData], shareAccess: .all, disposition: .openIf, options: [],
            oplockLevel: .batch, contexts: CreateContexts())
        let answer = self.request(.create, tree) { create.encode(into: &$0, name: name) }
        guard let answer, let response = try? CreateResponse(parsing: answer.bytes.span.bytes) else { return .related }
        return response.fileID
    }

    @discardableResult
    private func request(
        _ command: SMB2Command, _ tree: UInt32, _ body: (inout WireWriter) -> Void
    ) -> (header: SMB2Header, bytes: [UInt8])? {
        let header = SMB2Header(
            command: command, creditCharge: 1, credits: 64, messageID: self.nextMessageID, treeID: tree,
            sessionID: self.session)
        self.nextMessageID += 1
        var writer = WireWriter()
        header.encode(into: &writer)
        body(&writer)
        guard let bytes = self.exchange([writer.bytes]).first,
            let answer = try? SMB2Header(parsing: bytes.span.bytes)
        else { return nil }
        return (answer, bytes)
    }

    private func send(_ frame: [UInt8], _ tree: UInt32, _ file: FileID) {
        var addressing = Addressing(
            session: self.session, tree: tree, file: file, nextMessageID: self.nextMessageID)
        self.exchange(addressing.messages(in: frame))
        // Whatever waits is carried out or given up in time.
        self.state.now += 60_000
        self.takeEffects()
    }

    private func leave() {
        self.state.disconnected(self.connection)
        self.takeEffects()
    }

    // MARK: The shell

    @discardableResult
    private func exchange(_ messages: [[UInt8]]) -> [[UInt8]] {
        var frame = RequestFrame(connection: self.connection)
        var replies: [[UInt8]] = []
        for (index, message) in messages.enumerated() {
            frame.isLast = index == messages.count - 1
            var writer = WireWriter()
            var outcome = self.state.process(message.span.bytes, &frame, signature: .absent, into: &writer)
            if case .authenticate(let authentication) = outcome {
                outcome = self.state.finishSessionSetup(
                    authentication, .success(token: [], userName: "alice", isAnonymous: false), into: &writer)
            }
            self.takeEffects()
            switch outcome {
            case .reply: replies.append(writer.bytes)
            case .silent, .waiting: break
            case .disconnect, .authenticate: return replies
            }
        }
        return replies
    }

    private func takeEffects() {
        while !self.state.completions.isEmpty {
            let completions = self.state.completions
            self.state.completions = []
            for id in completions.compactMap(\.continuation) { self.state.continueCompound(id) }
        }
        self.state.mutations = []
        self.state.mutationsAwaited = false
        self.state.notes = []
    }
}

/// Lets everybody in and believes every signature, so that what comes behind them is reached.
private struct CredulousMechanisms: PipeSecurityMechanisms {
    final class Context: PipeSecurityContext {
        let signatureByteCount = 16

        func step(_ token: [UInt8], lookup: (String) -> [UInt8]?) -> PipeAuthentication {
            token.first == 0 ? .more(token: [1]) : .accepted(userName: "alice", token: [])
        }

        func protect(_ packet: inout [UInt8], sealing sealed: Range<Int>?) -> [UInt8]? {
            if let sealed { for index in sealed { packet[index] ^= 0x55 } }
            return [UInt8](repeating: 0, count: self.signatureByteCount)
        }

        func open(_ packet: inout [UInt8], sealed: Range<Int>?, signature: [UInt8]) -> Bool {
            if let sealed { for index in sealed { packet[index] ^= 0 } }
            return true
        }
    }

    func begin(_ mechanism: UInt8) -> (any PipeSecurityContext)? { mechanism == 0 ? nil : Context() }
}
