extension Compressor {
    /// Repetitions of one byte from which on a payload of its own is made: twice what such a payload takes with the header
    /// of the next.
    static let shortestPattern = 64
    /// Less is not worth an LZ payload within a chain.
    static let shortestPayload = 1024
    /// What an attempt must save, as a part of the message: otherwise the receiver's work is for nothing.
    private static let leastGain = 16

    /// Compresses a message that is complete and signed. [MS-SMB2] 3.1.4.4.
    ///
    /// - Parameters:
    ///   - lead: bytes at the message's beginning that stay as they are: its header, which does not repeat itself.
    ///   - target: as long as the message, at least.
    /// - Returns: how many bytes of `target` are to be sent instead, or nil when the message is to be sent as it is.
    package mutating func compress(
        message: UnsafeRawBufferPointer, lead: Int, agreed: CompressionAgreement,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        precondition(lead >= 0 && lead <= message.count && target.count >= message.count)
        let budget = message.count - message.count / Self.leastGain
        guard lead + CompressedMessage.headerByteCount < budget else { return nil }
        let room = UnsafeMutableRawBufferPointer(rebasing: target[..<budget])
        var output = ByteTarget(room)
        output.put(CompressedMessage.protocolID)
        let isDone =
            agreed.isChained
            ? self.chain(message, lead, agreed, room, &output) : self.single(message, lead, agreed, room, &output)
        return isDone ? output.count : nil
    }

    private mutating func single(
        _ message: UnsafeRawBufferPointer, _ lead: Int, _ agreed: CompressionAgreement,
        _ target: UnsafeMutableRawBufferPointer, _ output: inout ByteTarget
    ) -> Bool {
        guard let algorithm = agreed.preferred else { return false }
        output.put(UInt32(message.count - lead))
        output.put(algorithm.rawValue)
        output.put(UInt16(0))
        output.put(UInt32(lead))
        output.put(message, from: 0, count: lead)
        return self.append(message, lead..<message.count, algorithm, target, &output)
    }

    private mutating func append(
        _ message: UnsafeRawBufferPointer, _ range: Range<Int>, _ algorithm: CompressionAlgorithm,
        _ target: UnsafeMutableRawBufferPointer, _ output: inout ByteTarget
    ) -> Bool {
        let written = self.compress(
            UnsafeRawBufferPointer(rebasing: message[range]), with: algorithm,
            into: UnsafeMutableRawBufferPointer(rebasing: target[output.count...]))
        guard let written else { return false }
        output.advance(written)
        return true
    }

    private mutating func chain(
        _ message: UnsafeRawBufferPointer, _ lead: Int, _ agreed: CompressionAgreement,
        _ target: UnsafeMutableRawBufferPointer, _ output: inout ByteTarget
    ) -> Bool {
        output.put(UInt32(message.count))
        var data = lead..<message.count
        var front = 0
        var back = 0
        if agreed.algorithms.contains(.pattern) {
            front = Self.repetitions(message, data, fromEnd: false)
            if front < Self.shortestPattern { front = 0 }
            data = data.lowerBound + front..<data.upperBound
            back = Self.repetitions(message, data, fromEnd: true)
            if back < Self.shortestPattern { back = 0 }
            data = data.lowerBound..<data.upperBound - back
        }
        var flags = CompressedMessage.chained
        guard lead == 0 || Self.put(plain: message, 0..<lead, &flags, &output),
            front == 0 || Self.put(pattern: message[lead], front, &flags, &output)
        else { return false }
        if !data.isEmpty {
            let before = output.count
            if let algorithm = agreed.preferred, data.count >= Self.shortestPayload,
                output.room >= CompressedMessage.payloadHeaderByteCount + 4,
                self.append(payload: message, data, algorithm, flags, target, &output)
            {
                flags = 0
            } else {
                output.truncate(to: before)
                guard front + back > 0, Self.put(plain: message, data, &flags, &output) else { return false }
            }
        }
        return back == 0 || Self.put(pattern: message[message.count - 1], back, &flags, &output)
    }

    private mutating func append(
        payload message: UnsafeRawBufferPointer, _ range: Range<Int>, _ algorithm: CompressionAlgorithm,
        _ flags: UInt16, _ target: UnsafeMutableRawBufferPointer, _ output: inout ByteTarget
    ) -> Bool {
        output.put(algorithm.rawValue)
        output.put(flags)
        let length = output.claim(4)
        let start = output.count
        output.put(UInt32(range.count))
        guard self.append(message, range, algorithm, target, &output) else { return false }
        output.store(UInt32(output.count - start), at: length)
        return true
    }

    private static func put(
        plain message: UnsafeRawBufferPointer, _ range: Range<Int>, _ flags: inout UInt16, _ output: inout ByteTarget
    ) -> Bool {
        guard output.room >= CompressedMessage.payloadHeaderByteCount + range.count else { return false }
        output.put(CompressionAlgorithm.none)
        output.put(flags)
        output.put(UInt32(range.count))
        output.put(message, from: range.lowerBound, count: range.count)
        flags = 0
        return true
    }

    /// SMB2_COMPRESSION_PATTERN_PAYLOAD_V1, 2.2.42.2.2.
    private static func put(
        pattern: UInt8, _ repetitions: Int, _ flags: inout UInt16, _ output: inout ByteTarget
    ) -> Bool {
        guard output.room >= CompressedMessage.payloadHeaderByteCount + CompressedMessage.patternByteCount else {
            return false
        }
        output.put(CompressionAlgorithm.pattern.rawValue)
        output.put(flags)
        output.put(UInt32(CompressedMessage.patternByteCount))
        output.put(UInt32(pattern))
        output.put(UInt32(repetitions))
        flags = 0
        return true
    }

    /// How often the first byte (or the last) stands in a row.
    private static func repetitions(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, fromEnd: Bool) -> Int {
        guard !range.isEmpty else { return 0 }
        let byte = fromEnd ? bytes[range.upperBound - 1] : bytes[range.lowerBound]
        let word = UInt64(byte) &* 0x0101_0101_0101_0101
        var count = 0
        while range.count - count >= 8 {
            let at = fromEnd ? range.upperBound - count - 8 : range.lowerBound + count
            guard bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) == word else { break }
            count += 8
        }
        while count < range.count {
            let at = fromEnd ? range.upperBound - count - 1 : range.lowerBound + count
            guard bytes[at] == byte else { break }
            count += 1
        }
        return count
    }
}
