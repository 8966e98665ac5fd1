import FuzzSubjects
import GoldenMessages
import Testing

@testable import SMB2Wire

#if canImport(Glibc)
    import Glibc
#endif

/// Mutated requests must be refused or understood, never trap: a trap that a packet can reach is a remote crash.
/// HOLDFAST_FUZZ_ITERATIONS sets how many; a finding is replayed by its seed and stays below as a test of its own.
@Suite struct MutationTests {
    static let defaultIterations = 100_000

    static var iterations: Int {
        guard let text = getenv("HOLDFAST_FUZZ_ITERATIONS") else { return Self.defaultIterations }
        return Int(String(cString: text)) ?? Self.defaultIterations
    }

    @Test func mutatedRequestsNeverTrap() throws {
        var accepted = 0
        let seeds = GoldenRequests.all
        for iteration in 0..<Self.iterations {
            var random = SplitMix64(seed: UInt64(iteration))
            let golden = seeds[iteration % seeds.count]
            let bytes = Mutation.mutate(golden.bytes, with: &random)
            do throws(WireError) {
                try bytes.parsed(parseRequest)
                accepted += 1
            } catch {}
        }
        // A mutation that always breaks the message exercises nothing behind the first check.
        #expect(accepted > Self.iterations / 20)
        #expect(accepted < Self.iterations)
    }

    /// The parsers that a client runs over a server's bytes, and the FSCTL inputs no golden request carries.
    @Test func mutatedListsNeverTrap() throws {
        let notifications = hex("14000000 01000000 06000000 610062006300 0000 00000000 03000000 02000000 7800")
        let streams = hex(
            """
            28000000 0E000000 0500000000000000 0010000000000000 3A003A0024004400410054004100 0000
            00000000 0A000000 0100000000000000 0010000000000000 3A006100 3A002400 4400
            """)
        let ranges = hex("0000000000000000 0010000000000000")
        let pipe = hex("0000000000000000 08000000 01 00") + utf16("svcs")
        let smb1 = HeaderTests.smb1
        for iteration in 0..<Self.iterations / 10 {
            var random = SplitMix64(seed: ~UInt64(iteration))
            let inputs = [notifications, streams, ranges, pipe, smb1].map { Mutation.mutate($0, with: &random) }
            _ = try? inputs[0].parsed(FileNotifyInformation.parseList)
            _ = try? inputs[1].parsed(StreamInformation.parseList)
            _ = try? inputs[2].parsed(FileRange.init(parsing:))
            _ = try? inputs[2].parsed(ZeroDataInformation.init(parsing:))
            _ = try? inputs[2].parsed { s throws(WireError) in SetSparse(parsing: s) }
            _ = try? inputs[0].parsed(DuplicateExtents.init(parsing:))
            _ = try? inputs[1].parsed(FileLevelTrim.init(parsing:))
            _ = try? inputs[1].parsed(FileRegionQuery.init(parsing:))
            _ = try? inputs[2].parsed(ResiliencyRequest.init(parsing:))
            _ = try? inputs[3].parsed(DFSReferralRequest.init(parsing:))
            _ = try? inputs[3].parsed(PipeWaitRequest.init(parsing:))
            _ = try? inputs[4].parsed(SMB1Negotiate.init(parsing:))
            _ = try? inputs[4].parsed(ErrorResponse.init(parsing:))
            _ = try? inputs[4].parsed(TransformHeader.init(parsing:))
            for level in DirectoryInformationClass.allCases {
                _ = try? inputs[1].parsed { s throws(WireError) in try ParsedDirectoryEntry.parseList(s, level) }
            }
        }
    }
}
