import SMB2Wire
import SMBAuth
import SMBCompression
import SMBCrypto

/// One connection with one session and one current tree. Blocking, for one thread; requests may be pipelined: `post`
/// several, then `gather` each by the message id that `post` returned.
package final class SMBConnection {
    package let configuration: ClientConfiguration
    package let stream: TCPStream

    // What NEGOTIATE yielded.
    package internal(set) var dialect = Dialect.smb202
    package internal(set) var serverGUID = GUID.zero
    package internal(set) var capabilities: Capabilities = []
    package internal(set) var serverSecurityMode: SecurityMode = []
    package internal(set) var maximumReadSize = 65_536
    package internal(set) var maximumWriteSize = 65_536
    package internal(set) var maximumTransactSize = 65_536
    package internal(set) var cipher: Cipher?
    package internal(set) var signingAlgorithm: SMB2Wire.SigningAlgorithm?
    package internal(set) var compression: CompressionAgreement?
    var preauth = PreauthIntegrity()

    // What SESSION_SETUP yielded.
    package internal(set) var sessionID: UInt64 = 0
    package internal(set) var sessionKeys: SessionKeys?
    package internal(set) var sessionFlags: SessionSetupResponse.Flags = []
    var signer: SignerBox?
    var sealer: SealerBox?
    /// A session of another connection is being bound to this one.
    var isBinding = false
    var isReauthenticating = false
    /// Whether requests leave encrypted from now on.
    package var isEncrypting = false
    /// Whether WRITEs leave compressed from now on where that makes them smaller, and READs ask for it.
    package var isCompressing = false
    /// Packets that came compressed, and that went so.
    package internal(set) var compressedPackets = (received: 0, sent: 0)

    /// The tree that requests name; set by ``treeConnect(_:)``.
    package var treeID: UInt32 = 0
    /// Goes into every request on 3.x: how often this client had to connect anew. [MS-SMB2] 3.2.4.1.
    package var channelSequence: UInt16 = 0

    package private(set) var credits = 1
    package private(set) var nextMessageID: UInt64 = 0
    /// Message ids that were answered with STATUS_PENDING, with their async ids.
    package private(set) var pending: [UInt64: UInt64] = [:]
    /// What the server sent unasked: oplock and lease breaks.
    package private(set) var notifications: [Reply] = []
    private var replies: [UInt64: Reply] = [:]
    private var output = WireWriter(capacity: 64 << 10)

    /// Posted requests leave at the latest when so much is collected.
    private static let flushThreshold = 128 << 10

    /// Connects over TCP and says nothing yet.
    package init(_ configuration: ClientConfiguration) throws(ClientError) {
        self.configuration = configuration
        self.stream = try TCPStream(
            host: configuration.host, port: configuration.port,
            deadline: Instant.now.adding(milliseconds: configuration.connectTimeoutMilliseconds))
    }

    /// TCP, NEGOTIATE, SESSION_SETUP and, where `share` is given, TREE_CONNECT.
    package static func open(
        _ configuration: ClientConfiguration, share: String? = nil, previousSessionID: UInt64 = 0
    ) throws(ClientError) -> SMBConnection {
        let connection = try SMBConnection(configuration)
        try connection.negotiate()
        try connection.sessionSetup(previousSessionID: previousSessionID)
        if let share { try connection.treeConnect(share) }
        return connection
    }

    // MARK: Sending

    /// How a request differs from an ordinary one.
    package struct Options: Sendable {
        /// The longer of what is sent and what may come back; decides the credit charge. [MS-SMB2] 3.2.4.1.5.
        package var payloadByteCount = 0
        package var isReplay = false
        package var flags: SMB2Header.Flags = []
        package var treeID: UInt32?
        package var sessionID: UInt64?
        /// In place of the computed one; for tests.
        package var creditCharge: UInt16?

        package init(payloadByteCount: Int = 0, isReplay: Bool = false) {
            self.payloadByteCount = payloadByteCount
            self.isReplay = isReplay
        }
    }

    /// Queues a request whose body `encode` appends, and returns its message id. Waits for credits where there are
    /// none. It leaves with the next ``flush()`` or ``gather(_:)``.
    package func post(
        _ command: SMB2Command, _ options: Options = Options(), _ encode: (inout WireWriter) -> Void
    ) throws(ClientError) -> UInt64 {
        let charge = self.creditCharge(command, options)
        let needed = max(1, Int(charge))
        while self.credits < needed { try self.receive(self.deadline) }
        let messageID = self.nextMessageID
        self.nextMessageID += UInt64(needed)
        self.credits -= needed

        let start = self.output.count
        self.output.claim(DirectTCP.headerByteCount)
        let packetStart = self.output.count
        let seals = self.isEncrypting && self.sealer != nil && command != .negotiate && command != .sessionSetup
        if seals { self.output.claim(TransformHeader.byteCount) }
        let messageStart = self.output.count
        var header = self.header(command, options, messageID: messageID, charge: charge)
        let signs = !seals && self.shouldSign(command)
        if signs { header.flags.insert(.signed) }
        header.encode(into: &self.output)
        encode(&self.output)

        var end = self.output.count
        // What is signed goes into the hash as it leaves: below.
        if command == .negotiate || command == .sessionSetup, !signs {
            try self.updatePreauth(messageStart..<end)
        }
        if signs, let signer = self.signer {
            try self.mutate(messageStart..<end) { bytes throws(CryptoError) in
                try signer.signer.sign(bytes, fromServer: false)
            }
            if command == .sessionSetup { try self.updatePreauth(messageStart..<end) }
        }
        if command == .write {
            self.compress(from: messageStart, in: &self.output)
            end = self.output.count
        }
        if seals, let sealer = self.sealer {
            let id = self.sessionID
            try self.mutate(packetStart..<end) { bytes throws(CryptoError) in
                try sealer.sealer.seal(bytes, sessionID: id)
            }
        }
        self.output.store(DirectTCP.header(length: end - packetStart), at: start)
        if self.output.count >= Self.flushThreshold { try self.flush() }
        return messageID
    }

    /// One message of a compound.
    package struct Part {
        package var command: SMB2Command
        package var payloadByteCount: Int
        package var encode: (inout WireWriter) -> Void

        package init(_ command: SMB2Command, payloadByteCount: Int = 0, _ encode: @escaping (inout WireWriter) -> Void)
        {
            self.command = command
            self.payloadByteCount = payloadByteCount
            self.encode = encode
        }
    }

    /// Queues requests as one packet; with `isRelated` each goes on with the handle of the one before it
    /// (``FileID/related``). Returns their message ids. [MS-SMB2] 3.2.4.1.4.
    package func postCompound(_ parts: [Part], isRelated: Bool = true) throws(ClientError) -> [UInt64] {
        var charges: [UInt16] = []
        for part in parts {
            charges.append(self.creditCharge(part.command, Options(payloadByteCount: part.payloadByteCount)))
        }
        var messageID = try self.reserveMessageIDs(charges.reduce(0) { $0 + max(1, Int($1)) })
        let start = self.output.count
        self.output.claim(DirectTCP.headerByteCount)
        let packetStart = self.output.count
        let seals = self.isEncrypting && self.sealer != nil
        if seals { self.output.claim(TransformHeader.byteCount) }
        var messageIDs: [UInt64] = []
        for (index, part) in parts.enumerated() {
            let messageStart = self.output.count
            let options = Options(payloadByteCount: part.payloadByteCount)
            var header = self.header(part.command, options, messageID: messageID, charge: charges[index])
            if isRelated, index > 0 { header.flags.insert(.related) }
            let signs = !seals && self.shouldSign(part.command)
            if signs { header.flags.insert(.signed) }
            header.encode(into: &self.output)
            part.encode(&self.output)
            if index < parts.count - 1 {
                self.output.align(to: 8)
                self.output.store(UInt32(self.output.count - messageStart), at: messageStart + 20)
            }
            if signs, let signer = self.signer {
                try self.mutate(messageStart..<self.output.count) { bytes throws(CryptoError) in
                    try signer.signer.sign(bytes, fromServer: false)
                }
            }
            messageIDs.append(messageID)
            messageID += UInt64(max(1, charges[index]))
        }
        let end = self.output.count
        if seals, let sealer = self.sealer {
            let id = self.sessionID
            try self.mutate(packetStart..<end) { bytes throws(CryptoError) in
                try sealer.sealer.seal(bytes, sessionID: id)
            }
        }
        self.output.store(DirectTCP.header(length: end - packetStart), at: start)
        if self.output.count >= Self.flushThreshold { try self.flush() }
        return messageIDs
    }

    private func mutate(
        _ range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws(CryptoError) -> Void
    ) throws(ClientError) {
        do throws(CryptoError) {
            try self.output.withUnsafeMutableBytes(in: range, body)
        } catch {
            throw .crypto(error)
        }
    }

    private func updatePreauth(_ range: Range<Int>) throws(ClientError) {
        let output = self.output
        let bytes = output.span.bytes(in: range)
        do throws(CryptoError) { try self.preauth.update(bytes) } catch { throw .crypto(error) }
    }

    /// [MS-SMB2] 3.2.4.1.4: on 3.x the field that is a status in answers carries the channel sequence in requests.
    private func header(
        _ command: SMB2Command, _ options: Options, messageID: UInt64, charge: UInt16
    ) -> SMB2Header {
        let wanted = self.credits < self.configuration.targetCredits ? 64 : 0
        var header = SMB2Header(
            command: command, flags: options.flags, creditCharge: charge,
            credits: UInt16(clamping: max(1, Int(charge)) + wanted), messageID: messageID,
            treeID: options.treeID ?? self.treeID, sessionID: options.sessionID ?? self.sessionID)
        if self.dialect >= .smb30 {
            header.channelSequence = self.channelSequence
            if options.isReplay { header.flags.insert(.replay) }
        }
        return header
    }

    private func creditCharge(_ command: SMB2Command, _ options: Options) -> UInt16 {
        if let charge = options.creditCharge { return charge }
        guard self.dialect >= .smb21, self.capabilities.contains(.largeMTU), command != .negotiate else { return 0 }
        return UInt16(clamping: max(0, options.payloadByteCount - 1) / 65_536 + 1)
    }

    private func shouldSign(_ command: SMB2Command) -> Bool {
        guard self.signer != nil, command != .negotiate else { return false }
        if self.isBinding { return true }
        if self.configuration.signs || self.serverSecurityMode.contains(.signingRequired) { return true }
        return command == .treeConnect && self.dialect >= .smb311
    }

    package func flush() throws(ClientError) {
        guard self.output.count > 0 else { return }
        // Shares its storage until the end of the call; nothing is copied.
        let output = self.output
        try self.stream.send(output.span, deadline: self.deadline)
        self.output.reset()
    }

    /// What was posted and has not left, which then leaves no more; for tests that send a part of it.
    package func takeQueued() -> [UInt8] {
        defer { self.output.reset() }
        return self.output.bytes
    }

    /// A packet as it is, behind a four-byte header; for compounds made by hand and for bad input.
    package func sendRaw(_ packet: [UInt8]) throws(ClientError) {
        try self.flush()
        try self.stream.sendFrame(packet.span.bytes, deadline: self.deadline)
    }

    /// Bytes without any framing.
    package func sendUnframed(_ bytes: [UInt8]) throws(ClientError) {
        try self.flush()
        try self.stream.send(bytes.span.bytes, deadline: self.deadline)
    }

    /// CANCEL for a request that waits. It has no answer of its own and takes no credit. [MS-SMB2] 3.2.4.24.
    package func cancel(_ messageID: UInt64) throws(ClientError) {
        var header = SMB2Header(command: .cancel, messageID: messageID, treeID: self.treeID, sessionID: self.sessionID)
        if let asyncID = self.pending[messageID] {
            header.flags.insert(.async)
            header.asyncID = asyncID
        }
        if self.signer != nil, self.configuration.signs { header.flags.insert(.signed) }
        var writer = WireWriter()
        header.encode(into: &writer)
        CancelRequest().encode(into: &writer)
        var packet = writer.bytes
        if let signer = self.signer, header.isSigned {
            try crypto { () throws(CryptoError) in try signer.sign(&packet) }
        }
        try self.sendRaw(packet)
    }

    /// Message ids for requests that are encoded elsewhere, with their credits taken.
    package func reserveMessageIDs(_ count: Int) throws(ClientError) -> UInt64 {
        while self.credits < count { try self.receive(self.deadline) }
        defer {
            self.nextMessageID += UInt64(count)
            self.credits -= count
        }
        return self.nextMessageID
    }

    // MARK: Receiving

    var deadline: Instant { Instant.now.adding(milliseconds: self.configuration.requestTimeoutMilliseconds) }

    /// The final answer to a posted request, whatever its status. Interim answers are noted in ``pending``.
    package func gather(_ messageID: UInt64, deadline: Instant? = nil) throws(ClientError) -> Reply {
        let deadline = deadline ?? self.deadline
        while true {
            if let reply = self.replies.removeValue(forKey: messageID) { return reply }
            try self.receive(deadline)
        }
    }

    /// ``gather(_:deadline:)`` with a check: throws for every status but success and those in `accepting`.
    package func gather(
        _ messageID: UInt64, _ command: SMB2Command, accepting: [NTStatus] = []
    ) throws(ClientError) -> Reply {
        let reply = try self.gather(messageID)
        guard reply.header.status == .success || accepting.contains(reply.header.status) else {
            throw .status(reply.header.status, command)
        }
        return reply
    }

    /// The message id of some final answer that came, waiting for one where there is none; for callers that keep
    /// many requests under way.
    package func nextAnswered() throws(ClientError) -> UInt64 {
        while true {
            if let messageID = self.replies.keys.first { return messageID }
            try self.receive(self.deadline)
        }
    }

    /// Whether the final answer is here, as far as packets were taken.
    package func isAnswered(_ messageID: UInt64) -> Bool { self.replies[messageID] != nil }

    /// Waits until `messageID` got its interim answer.
    package func waitUntilPending(_ messageID: UInt64) throws(ClientError) {
        while self.pending[messageID] == nil {
            if let reply = self.replies[messageID] {
                throw .violation("answered at once with \(reply.header.status)")
            }
            try self.receive(self.deadline)
        }
    }

    /// Waits for something that the server sends unasked.
    package func nextNotification() throws(ClientError) -> Reply {
        while self.notifications.isEmpty { try self.receive(self.deadline) }
        return self.notifications.removeFirst()
    }

    /// Takes one packet, which may hold several answers.
    private func receive(_ deadline: Instant) throws(ClientError) {
        try self.flush()
        var packet = try self.stream.receiveFrame(deadline: deadline)
        var start = 0
        var isEncrypted = false
        switch PacketKind(packet.span.bytes) {
        case .encrypted:
            guard let sealer = self.sealer else { throw .violation("encrypted before there is a key") }
            start = try crypto { () throws(CryptoError) in try sealer.open(&packet) }
            isEncrypted = true
        case .smb2, .compressed: break
        default: throw .violation("a packet that is not SMB2")
        }
        if PacketKind(packet.span.bytes.extracting(start..<packet.count)) == .compressed {
            packet = try self.inflate(packet[start...])
            start = 0
        }
        while start < packet.count {
            let header: SMB2Header
            let length: Int
            do throws(WireError) {
                let rest = packet.span.bytes.extracting(start..<packet.count)
                header = try SMB2Header(parsing: rest)
                length = try header.messageLength(in: rest)
            } catch {
                throw .wire(error)
            }
            let range = start..<(start + length)
            if !isEncrypted { try self.verify(header, &packet, range) }
            self.take(Reply(header: header, packet: packet, range: range))
            start += length
        }
    }

    private func verify(_ header: SMB2Header, _ packet: inout [UInt8], _ range: Range<Int>) throws(ClientError) {
        // The answer that ends SESSION_SETUP is verified there, with the keys that it yields.
        guard let signer = self.signer, header.command != .sessionSetup else { return }
        if header.isSigned {
            try crypto { () throws(CryptoError) in try signer.verify(&packet, range) }
        } else if self.configuration.signs, header.status != .pending, header.messageID != UInt64.max {
            throw .violation("an answer to \(header.commandCode) that is not signed")
        }
    }

    private func take(_ reply: Reply) {
        self.credits += Int(reply.header.credits)
        let messageID = reply.header.messageID
        if messageID == UInt64.max {
            self.notifications.append(reply)
        } else if reply.header.isAsync, reply.header.status == .pending {
            self.pending[messageID] = reply.header.asyncID
        } else {
            self.pending[messageID] = nil
            self.replies[messageID] = reply
        }
    }
}

/// Owners of libcrypto's contexts that a class can replace.
final class SignerBox {
    var signer: Signer

    init(_ signer: consuming Signer) { self.signer = signer }

    func sign(_ message: inout [UInt8]) throws(CryptoError) {
        let range = 0..<message.count
        try self.run(&message, range) { signer, bytes throws(CryptoError) in try signer.sign(bytes, fromServer: false) }
    }

    func verify(_ packet: inout [UInt8], _ range: Range<Int>) throws(CryptoError) {
        try self.run(&packet, range) { signer, bytes throws(CryptoError) in try signer.verify(bytes, fromServer: true) }
    }

    private func run(
        _ packet: inout [UInt8], _ range: Range<Int>,
        _ body: (inout Signer, UnsafeMutableRawBufferPointer) throws(CryptoError) -> Void
    ) throws(CryptoError) {
        let result: Result<Void, CryptoError> = packet.withUnsafeMutableBytes { bytes in
            do throws(CryptoError) {
                return .success(try body(&self.signer, UnsafeMutableRawBufferPointer(rebasing: bytes[range])))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}

final class SealerBox {
    var sealer: Sealer

    init(_ sealer: consuming Sealer) { self.sealer = sealer }

    /// Where the decrypted message begins; it ends with the packet.
    func open(_ packet: inout [UInt8]) throws(CryptoError) -> Int {
        let result: Result<Int, CryptoError> = packet.withUnsafeMutableBytes { bytes in
            do throws(CryptoError) {
                return .success(try self.sealer.open(bytes).lowerBound)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
