/// NamedPipeState of [MS-FSCC] 2.3.46 and 2.4.37.
package enum PipeState {
    package static let connected: UInt32 = 3
    package static let closing: UInt32 = 4
}

/// FilePipeInformation, [MS-FSCC] 2.4.36.
package struct PipeInformation: Equatable, Sendable {
    package static let byteCount = 8

    /// ReadMode: FILE_PIPE_MESSAGE_MODE, else a stream of bytes.
    package var readsMessages: Bool
    /// CompletionMode: FILE_PIPE_COMPLETE_OPERATION, else what finds nothing waits.
    package var completesAtOnce: Bool

    package init(readsMessages: Bool, completesAtOnce: Bool) {
        self.readsMessages = readsMessages
        self.completesAtOnce = completesAtOnce
    }

    package init(parsing data: RawSpan) throws(WireError) {
        try data.require(Self.byteCount, "FilePipeInformation")
        let (reading, completion) = (data.load(UInt32.self, at: 0), data.load(UInt32.self, at: 4))
        guard reading <= 1, completion <= 1 else { throw .invalidValue("FilePipeInformation") }
        self.readsMessages = reading == 1
        self.completesAtOnce = completion == 1
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt32(self.readsMessages ? 1 : 0))
        writer.append(UInt32(self.completesAtOnce ? 1 : 0))
    }
}

/// FilePipeLocalInformation, [MS-FSCC] 2.4.37, of the client's end of a pipe of messages for both directions.
package struct PipeLocalInformation: Equatable, Sendable {
    package static let byteCount = 40

    /// Quotas and what is available in bytes.
    package var inboundQuota: UInt32
    package var available: UInt32
    package var outboundQuota: UInt32
    package var isConnected: Bool

    package init(inboundQuota: UInt32, available: UInt32, outboundQuota: UInt32, isConnected: Bool) {
        self.inboundQuota = inboundQuota
        self.available = available
        self.outboundQuota = outboundQuota
        self.isConnected = isConnected
    }

    package func encode(into writer: inout WireWriter) {
        // FILE_PIPE_MESSAGE_TYPE, FILE_PIPE_FULL_DUPLEX; any number of instances, of which this is one.
        for value in [1, 2, UInt32.max, 1] { writer.append(value) }
        writer.append(self.inboundQuota)
        writer.append(self.available)
        writer.append(self.outboundQuota)
        // All that may be written at once.
        writer.append(self.inboundQuota)
        writer.append(self.isConnected ? PipeState.connected : PipeState.closing)
        // FILE_PIPE_CLIENT_END.
        writer.append(UInt32(0))
    }
}
