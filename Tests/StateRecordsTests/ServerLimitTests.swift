import Testing

@testable import StateRecords

@Suite struct ServerLimitTests {
    @Test(arguments: ServerLimit.allCases) func everyLimitHasSaneBounds(limit: ServerLimit) throws {
        #expect(limit.range.contains(limit.standard))
        var limits = ServerLimits()
        #expect(limits[limit] == limit.standard)
        for value in [limit.range.lowerBound, limit.range.upperBound] {
            try limits.set("\(limit.rawValue)=\(value)")
            #expect(limits[limit] == value)
            #expect(try ServerLimits(decoding: limits.encoded) == limits)
        }
        let before = limits
        for value in ["\(limit.range.lowerBound - 1)", "\(limit.range.upperBound + 1)", "-1", "many", ""] {
            do throws(LimitError) {
                try limits.set(limit.rawValue, to: value)
                Issue.record("\(limit) took \(value)")
            } catch {
                #expect(error.description.contains("\(limit.range.lowerBound) to \(limit.range.upperBound)"))
            }
        }
        #expect(limits == before)
    }

    @Test func whatIsNoLimitIsSaid() {
        var limits = ServerLimits()
        do throws(LimitError) { try limits.set("printers=3") } catch {
            #expect(error.description.contains("no limit printers"))
            #expect(error.description.contains("held-bytes"))
        }
        do throws(LimitError) { try limits.set("opens") } catch {
            #expect(error.description == "opens: NAME=VALUE is wanted")
        }
        #expect(limits == ServerLimits())
    }

    /// Another version may know more of them, or fewer, or allow more.
    @Test func otherVersionsAreUnderstood() throws {
        var writer = BinaryWriter()
        writer.section(version: 1) { writer in
            writer.write(UInt32(2))
            writer.write(UInt64(7))
            writer.write(UInt64.max)
        }
        let old = try ServerLimits(decoding: writer.bytes)
        #expect(old[.connections] == 7)
        #expect(old[.sessions] == ServerLimit.sessions.range.upperBound)
        #expect(old[.opens] == ServerLimit.opens.standard)
        var newer = BinaryWriter()
        newer.section(version: 1) { writer in
            writer.write(UInt32(20))
            for value in UInt64(1)...20 { writer.write(value << 25) }
        }
        #expect(try ServerLimits(decoding: newer.bytes)[.heldBytes] == 8 << 25)
    }

    /// What came with a later version is not written before: all nodes read the same of it.
    @Test func aLimitOfALaterVersionIsLeftOut() throws {
        var limits = ServerLimits()
        try limits.set(.opens, to: 7)
        let standard = limits
        try limits.set(.pipeBytes, to: 5 << 20)
        #expect(try ServerLimits(decoding: limits.encoded(for: 2)) == limits)
        #expect(limits.encoded(for: 1) == standard.encoded(for: 1))
        #expect(try ServerLimits(decoding: limits.encoded(for: 1)) == standard)
        let versions = ServerLimit.allCases.map(\.since)
        #expect(versions == versions.sorted(), "the newest at the end")
    }

    /// Configurations that were written before there were limits.
    @Test func aConfigurationWithoutLimitsHasTheStandardOnes() throws {
        var limited = Sample.configuration
        try limited.limits.set(.opens, to: 5)
        #expect(try ServerConfiguration(decoding: limited.encoded) == limited)
        var bytes = limited.encoded
        // Section 1 ends before the limits.
        let fields = bytes.count - 5 - limited.limits.encoded.count
        bytes.removeLast(limited.limits.encoded.count)
        bytes[0] = 1
        for index in 0..<4 { bytes[1 + index] = UInt8(truncatingIfNeeded: fields >> (8 * index)) }
        #expect(try ServerConfiguration(decoding: bytes) == Sample.configuration)
    }
}
