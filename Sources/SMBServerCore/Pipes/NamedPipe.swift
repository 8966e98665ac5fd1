import SMB2Wire

/// One open end of a named pipe: what its service has answered, and who waits for that. [MS-SMB2] 3.3.5.12, 3.3.5.13,
/// 3.3.5.15.4, 3.3.5.15.10.
package struct NamedPipe: Sendable {
    /// Answers that nobody reads; a write beyond fails with STATUS_PIPE_BUSY.
    package static let unreadLimit = 1024
    package static let unreadByteLimit = PipeEndpoint.maximumAnswerByteCount
    /// What each pipe may keep however much the others do: an answer of the usual length, for who writes and then reads.
    package static let alwaysKept = 8 << 10
    /// READs and transceives that wait for an answer; one more fails with STATUS_INSUFFICIENT_RESOURCES.
    package static let waitingLimit = 128

    /// What a read yields.
    package enum Reading: Equatable {
        case bytes([UInt8], NTStatus)
        case empty
        case broken
    }

    /// Lower case, without "\PIPE\".
    package let name: String
    package var endpoint: PipeEndpoint
    /// What the service answered and the client has not read yet, message by message.
    package private(set) var answers: [[UInt8]] = []
    /// Bytes that wait to be read.
    package private(set) var unreadByteCount = 0
    /// Requests that wait for an answer, the oldest first: their keys in the table of pending requests.
    package var waiting: [UInt64] = []
    /// As the client set it; a new pipe is read by messages, and waits. [MS-FSCC] 2.4.36.
    package var mode = PipeInformation(readsMessages: true, completesAtOnce: false)
    /// A PDU came that is none: the other end is gone.
    package private(set) var isBroken = false

    package init(name: String, endpoint: PipeEndpoint) {
        self.name = name
        self.endpoint = endpoint
    }

    /// What counts for `ServerLimit.pipeBytes`.
    package var keptByteCount: Int { self.unreadByteCount + self.endpoint.unfinishedByteCount }

    /// Keeps what the service answered; false: nobody reads it.
    package mutating func append(_ answers: [[UInt8]]) -> Bool {
        let byteCount = self.unreadByteCount + answers.reduce(0) { $0 + $1.count }
        guard answers.count <= Self.unreadLimit - self.answers.count, byteCount <= Self.unreadByteLimit else {
            return false
        }
        self.answers += answers
        self.unreadByteCount = byteCount
        return true
    }

    /// Nothing more goes through it; what was answered before may still be read.
    package mutating func breakOff() {
        self.isBroken = true
        self.endpoint.dropUnfinished()
    }

    /// At most `limit` bytes: of the oldest answer, whose rest stays, and the status says so; or of all of them, where the
    /// client reads bytes and not messages.
    package mutating func read(limit: Int) -> Reading {
        guard let message = self.answers.first else { return self.isBroken ? .broken : .empty }
        if self.mode.readsMessages {
            let count = min(limit, message.count)
            self.take(count, of: message)
            return .bytes(Array(message[..<count]), count == message.count ? .success : .bufferOverflow)
        }
        var bytes: [UInt8] = []
        while let message = self.answers.first, bytes.count < limit || message.isEmpty {
            let count = min(limit - bytes.count, message.count)
            bytes += message[..<count]
            self.take(count, of: message)
        }
        return .bytes(bytes, .success)
    }

    private mutating func take(_ count: Int, of oldest: [UInt8]) {
        if count == oldest.count { self.answers.removeFirst() } else { self.answers[0].removeFirst(count) }
        self.unreadByteCount -= count
    }

    /// FSCTL_PIPE_PEEK, [MS-FSCC] 2.3.46: what a read of `limit` bytes of output would find, without taking it.
    package func peek(limit: Int, into writer: inout WireWriter) -> NTStatus {
        let first = self.answers.first ?? []
        let count = min(max(limit - PipePeekResponse.byteCount, 0), first.count)
        PipePeekResponse(
            isConnected: !self.isBroken, available: UInt32(clamping: self.unreadByteCount),
            messages: UInt32(clamping: self.answers.count), messageLength: UInt32(clamping: first.count)
        ).encode(into: &writer)
        writer.append(Array(first[..<count]))
        return count == first.count ? .success : .bufferOverflow
    }

    /// FilePipeLocalInformation.
    package var local: PipeLocalInformation {
        PipeLocalInformation(
            inboundQuota: UInt32(RPCHeader.maximumFragmentByteCount), available: UInt32(clamping: self.unreadByteCount),
            outboundQuota: UInt32(clamping: Self.unreadByteLimit), isConnected: !self.isBroken)
    }
}
