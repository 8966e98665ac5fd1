import GoldenMessages
import SMB2Wire
import SMBAuth
import SMBCrypto
import Testing

@testable import SMBClient

/// A client that is let in and then sends golden requests, most of them mutated: plain, signed or encrypted, alone or in
/// compounds, on the handles and the tree that it really has.
struct Attacker {
    /// After so many frames an ECHO must be answered, or the connection counts as lost.
    static let framesPerBatch = 4
    private static let longestCompound = 4

    private let port: UInt16
    private let trace: FuzzTrace
    private var random: SplitMix64
    private var connection: SMBConnection?
    private var files: [FileID] = []
    private var framesInBatch = 0
    /// Batches at whose end the server still spoke with us.
    private(set) var batches = 0

    init(port: UInt16, seed: UInt64, trace: FuzzTrace) {
        self.port = port
        self.trace = trace
        self.random = SplitMix64(seed: seed)
    }

    static func configuration(port: UInt16, user: String) throws -> ClientConfiguration {
        var configuration = try ClientConfiguration(
            host: "127.0.0.1", port: port, credentials: .init(user: user, password: "secret"))
        configuration.signs = false
        configuration.requestTimeoutMilliseconds = 3000
        return configuration
    }

    mutating func disconnect() {
        self.connection?.stream.abort()
        self.connection = nil
    }

    /// A connection that the server closed is no finding: the next frame gets a new one. That it can be had is asserted.
    mutating func sendFrame() throws {
        let connection = try self.connection ?? self.connect()
        do throws(ClientError) {
            let frame = try self.frame(connection)
            self.trace.note(frame)
            try connection.sendRaw(frame)
            self.framesInBatch += 1
            guard self.framesInBatch == Self.framesPerBatch else { return }
            self.framesInBatch = 0
            try connection.echo()
            self.batches += 1
        } catch {
            self.disconnect()
        }
    }

    private mutating func connect() throws -> SMBConnection {
        self.trace.restart()
        self.framesInBatch = 0
        var configuration = try Self.configuration(port: self.port, user: "alice")
        switch Int.random(in: 0..<4, using: &self.random) {
        case 0: configuration.dialects = [.smb21]
        case 1: configuration.dialects = [.smb302]
        default: break
        }
        let connection = try SMBConnection.open(configuration, share: "test")
        var contexts = CreateContexts()
        contexts.durableRequestV2 = DurableRequestV2(
            timeoutMilliseconds: 1000, flags: 2, createGUID: try ClientConfiguration.freshGUID())
        self.files = []
        for parameters in [
            OpenParameters("a", access: .fileAll, disposition: .openIf),
            OpenParameters("b", access: .fileAll, disposition: .openIf, contexts: contexts),
            OpenParameters("a:stream", access: .fileAll, disposition: .openIf),
            OpenParameters("dir", access: .fileAll, disposition: .openIf, options: .directoryFile),
        ] {
            // An earlier frame may have made it unusable.
            do throws(ClientError) { self.files.append(try connection.create(parameters).fileID) } catch {}
        }
        self.connection = connection
        return connection
    }

    // MARK: Frames

    private mutating func frame(_ connection: SMBConnection) throws(ClientError) -> [UInt8] {
        let count =
            Int.random(in: 0..<3, using: &self.random) > 0
            ? 1 : Int.random(in: 2...Self.longestCompound, using: &self.random)
        let protection = Int.random(in: 0..<8, using: &self.random)
        var messageID = try connection.reserveMessageIDs(count)
        let isRelated = Bool.random(using: &self.random)
        var packet: [UInt8] = []
        for index in 0..<count {
            var message = self.message(connection, messageID, isRelated: isRelated && index > 0)
            messageID += 1
            if index < count - 1 {
                message += [UInt8](repeating: 0, count: (8 - message.count % 8) % 8)
                if message.count >= 24 { Self.store(UInt32(message.count), at: 20, in: &message) }
            }
            if protection == 1 || protection == 2, message.count >= 64, let signer = connection.signer {
                message[16] |= 8
                do throws(CryptoError) { try signer.sign(&message) } catch { throw .crypto(error) }
            }
            packet += message
        }
        guard protection >= 5, let sealer = connection.sealer else { return packet }
        var sealed = [UInt8](repeating: 0, count: TransformHeader.byteCount) + packet
        let result: Result<Void, CryptoError> = sealed.withUnsafeMutableBytes { bytes in
            do throws(CryptoError) {
                return .success(try sealer.sealer.seal(bytes, sessionID: connection.sessionID))
            } catch {
                return .failure(error)
            }
        }
        do throws(CryptoError) { try result.get() } catch { throw .crypto(error) }
        // The transform header itself; a broken one costs the connection, so not often.
        if protection == 7, Int.random(in: 0..<4, using: &self.random) == 0 {
            let at = Int.random(in: 0..<TransformHeader.byteCount, using: &self.random)
            sealed[at] ^= 1 << UInt8.random(in: 0..<8, using: &self.random)
            if Bool.random(using: &self.random) {
                sealed.removeLast(Int.random(in: 1..<sealed.count, using: &self.random))
            }
        }
        return sealed
    }

    private mutating func message(_ connection: SMBConnection, _ messageID: UInt64, isRelated: Bool) -> [UInt8] {
        // The handshake's messages and those that end it are worth fewer tries.
        var golden = GoldenRequests.all.randomElement(using: &self.random)
        if let name = golden?.name, ["negotiate", "negotiate 2.1", "logoff", "tree disconnect"].contains(name),
            Int.random(in: 0..<10, using: &self.random) > 0
        {
            golden = GoldenRequests.all.randomElement(using: &self.random)
        }
        var bytes = golden?.bytes ?? []
        self.address(&bytes, connection, messageID, isRelated: isRelated)
        self.vary(&bytes)
        guard Int.random(in: 0..<8, using: &self.random) > 0 else { return bytes }
        let header = bytes.prefix(48)
        bytes = Mutation.mutate(bytes, with: &self.random)
        // A broken header costs the connection: rarely that.
        if bytes.count >= 64, Int.random(in: 0..<16, using: &self.random) > 0 {
            bytes.replaceSubrange(0..<header.count, with: header)
        }
        return bytes
    }

    /// On our session, our tree, and one of our handles.
    private mutating func address(
        _ bytes: inout [UInt8], _ connection: SMBConnection, _ messageID: UInt64, isRelated: Bool
    ) {
        guard bytes.count >= 64 else { return }
        Self.store(UInt16(1), at: 6, in: &bytes)
        Self.store(UInt16(16), at: 14, in: &bytes)
        Self.store(messageID, at: 24, in: &bytes)
        Self.store(isRelated ? UInt32.max : connection.treeID, at: 36, in: &bytes)
        Self.store(isRelated ? UInt64.max : connection.sessionID, at: 40, in: &bytes)
        if isRelated { bytes[16] |= 4 }
        let related = isRelated && Bool.random(using: &self.random)
        guard let file = related ? .related : self.files.randomElement(using: &self.random) else { return }
        var wanted = [UInt8](repeating: 0x11, count: 8) + [UInt8](repeating: 0x22, count: 8)
        wanted.reserveCapacity(16)
        var at = 64
        while at + 16 <= bytes.count {
            if bytes[at] == 0x11, Array(bytes[at..<at + 16]) == wanted {
                Self.store(file.persistent, at: at, in: &bytes)
                Self.store(file.volatile, at: at + 8, in: &bytes)
                at += 16
            } else {
                at += 1
            }
        }
    }

    /// Other levels and control codes than the golden ones'.
    private mutating func vary(_ bytes: inout [UInt8]) {
        guard bytes.count >= 72, Bool.random(using: &self.random) else { return }
        switch bytes[12] {
        case 0x0B: Self.store(Self.controls.randomElement(using: &self.random) ?? 0, at: 68, in: &bytes)
        case 0x0E: bytes[66] = UInt8.random(in: 1...63, using: &self.random)
        case 0x10, 0x11:
            bytes[66] = UInt8.random(in: 1...4, using: &self.random)
            bytes[67] = UInt8.random(in: 0...72, using: &self.random)
        default: break
        }
    }

    /// [MS-FSCC] 2.3 and [MS-SMB2] 2.2.31.
    private static let controls: [UInt32] = [
        0x0006_0194, 0x0011_400C, 0x0011_0018, 0x0011_C017, 0x0014_4064, 0x0014_40F2, 0x0014_80F2, 0x0014_0078,
        0x0014_01FC, 0x0014_01D4, 0x0014_0204, 0x0009_00C4, 0x0009_80C8, 0x0009_40CF, 0x0009_003C, 0x0009_C040,
        0x0009_00C0, 0x0009_009C, 0x0009_00A8, 0x0009_8344, 0x0009_0100, 0x0009_0064,
    ]

    /// Two ECHOs, the first of which says where the second is.
    static func compound(next: UInt32) -> [UInt8] {
        let echo = GoldenRequests.all.first { $0.name == "echo" }?.bytes ?? []
        var first = echo + [UInt8](repeating: 0, count: (8 - echo.count % 8) % 8)
        Self.store(next, at: 20, in: &first)
        return first + echo
    }

    private static func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int, in bytes: inout [UInt8]) {
        for index in 0..<Value.bitWidth / 8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
        }
    }
}
