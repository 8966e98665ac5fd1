import SMB2Wire

/// Where a fuzzed frame is to go: the golden requests' tree, session and handle are replaced by real ones, so that what they
/// say is looked at. The inputs stay independent of what a server happened to give out.
struct Addressing {
    var session: UInt64
    var tree: UInt32
    /// In place of the golden file id.
    var file: FileID
    var nextMessageID: UInt64

    private static let goldenTree: UInt32 = 5
    private static let goldenSession: UInt64 = 7
    private static let goldenMessageID: UInt64 = 3

    /// Cuts a frame as `ConnectionFrames` does, and addresses each message of it. Nil where the frame would be refused.
    mutating func messages(in frame: [UInt8]) -> [[UInt8]] {
        var messages: [[UInt8]] = []
        var at = 0
        while at < frame.count {
            let rest = Array(frame[at...])
            guard let header = try? SMB2Header(parsing: rest.span.bytes),
                let length = try? header.messageLength(in: rest.span.bytes)
            else { return messages }
            var message = Array(rest[..<length])
            self.address(&message, header)
            messages.append(message)
            guard header.nextCommand != 0 else { return messages }
            at += length
        }
        return messages
    }

    private mutating func address(_ message: inout [UInt8], _ header: SMB2Header) {
        if header.messageID == Self.goldenMessageID {
            Self.store(UInt64(self.nextMessageID), at: 24, in: &message)
            // The charge is the input's: a wrong one is what the sequence window is there for.
            self.nextMessageID += UInt64(max(1, header.creditCharge))
        }
        if header.treeID == Self.goldenTree { Self.store(self.tree, at: 36, in: &message) }
        if header.sessionID == Self.goldenSession { Self.store(self.session, at: 40, in: &message) }
        var at = SMB2Header.byteCount
        while at + 16 <= message.count {
            if message[at..<at + 8].allSatisfy({ $0 == 0x11 }), message[at + 8..<at + 16].allSatisfy({ $0 == 0x22 }) {
                Self.store(self.file.persistent, at: at, in: &message)
                Self.store(self.file.volatile, at: at + 8, in: &message)
                at += 16
            } else {
                at += 1
            }
        }
    }

    private static func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int, in bytes: inout [UInt8]) {
        for index in 0..<Value.bitWidth / 8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
        }
    }
}
