/// What authenticates a PDU: sec_trailer and auth_value, the last of it. [MS-RPCE] 2.2.2.11.
package struct RPCVerifier: Equatable, Sendable {
    /// Of sec_trailer; auth_value follows.
    package static let byteCount = 8
    /// The stub and its padding end on a multiple of this, counted from where the stub begins. 2.2.2.11.
    package static let alignment = 16

    /// auth_type, 2.2.1.1.7.
    package enum Mechanism {
        package static let spnego: UInt8 = 0x09
        package static let ntlm: UInt8 = 0x0A
    }

    /// auth_level, 2.2.1.1.8.
    package enum Level: UInt8, Sendable, Comparable {
        /// Only who binds is authenticated.
        case connect = 2
        /// On connections 3 means the same as 4; what 4 promises is part of what 5 does.
        case call = 3
        case packet = 4
        case integrity = 5
        case privacy = 6

        package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    package var mechanism: UInt8
    /// As it came; `Level` knows those that there are.
    package var level: UInt8
    package var paddingByteCount: Int
    package var contextID: UInt32
    /// auth_value, relative to the PDU.
    package var value: Range<Int>

    /// Where sec_trailer begins.
    package var start: Int { self.value.lowerBound - Self.byteCount }
    /// Where stub data, or the body, ends: before the padding.
    package var bodyEnd: Int { self.start - self.paddingByteCount }

    package init(mechanism: UInt8, level: UInt8, contextID: UInt32) {
        self.mechanism = mechanism
        self.level = level
        self.paddingByteCount = 0
        self.contextID = contextID
        self.value = 0..<0
    }

    /// The verifier of a PDU whose header says that it has one.
    ///
    /// - Parameter bodyStart: where what may be padded begins: the padding cannot reach into the fixed part.
    package init(parsing packet: RawSpan, authenticationLength: Int, bodyStart: Int) throws(WireError) {
        guard bodyStart <= packet.byteCount, authenticationLength <= packet.byteCount - bodyStart,
            packet.byteCount - bodyStart - authenticationLength >= Self.byteCount
        else { throw .truncated("RPC verifier") }
        let start = packet.byteCount - authenticationLength - Self.byteCount
        self.mechanism = packet.load(UInt8.self, at: start)
        self.level = packet.load(UInt8.self, at: start + 1)
        self.paddingByteCount = Int(packet.load(UInt8.self, at: start + 2))
        self.contextID = packet.load(UInt32.self, at: start + 4)
        self.value = start + Self.byteCount..<packet.byteCount
        guard self.paddingByteCount <= start - bodyStart else { throw .invalidValue("RPC padding") }
    }

    /// Appends padding, sec_trailer and room for `valueByteCount` bytes of auth_value to a whole PDU, puts its lengths
    /// right and returns the verifier as it stands there.
    ///
    /// - Parameters:
    ///   - alignment: of what stands before sec_trailer.
    ///   - bodyStart: from where the alignment counts.
    package func append(
        to packet: inout [UInt8], valueByteCount: Int, alignment: Int, bodyStart: Int
    ) -> RPCVerifier {
        var placed = self
        placed.paddingByteCount = (alignment - (packet.count - bodyStart) % alignment) % alignment
        packet.append(contentsOf: repeatElement(0, count: placed.paddingByteCount))
        packet += [self.mechanism, self.level, UInt8(placed.paddingByteCount), 0]
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            packet.append(UInt8(truncatingIfNeeded: self.contextID >> shift))
        }
        placed.value = packet.count..<packet.count + valueByteCount
        packet.append(contentsOf: repeatElement(0, count: valueByteCount))
        for (offset, length) in [(8, packet.count), (10, valueByteCount)] {
            packet[offset] = UInt8(truncatingIfNeeded: length)
            packet[offset + 1] = UInt8(truncatingIfNeeded: length >> 8)
        }
        return placed
    }
}
