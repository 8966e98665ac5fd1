import ClusterCore
import Foundation
import Raft
import StateRecords
import Testing

/// What is stored, and what crosses between nodes, has the same bytes for as long as there is a program that writes them:
/// docs/UPGRADE.md. A test that fails here says that an encoding changed without a version.
@Suite struct EncodingTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Golden")

    private static func file(_ version: ClusterVersion) -> URL {
        self.folder.appendingPathComponent("version-\(version).txt")
    }

    /// `NAME HEXADECIMAL`, a line each; of a later version only what is new or changed.
    private static func lines(_ version: ClusterVersion) throws -> [String: [UInt8]] {
        var lines: [String: [UInt8]] = [:]
        for line in try String(contentsOf: self.file(version), encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            let digits = Array(words[1].utf8)
            lines[String(words[0])] = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
            }
        }
        return lines
    }

    /// As of that version, with what stayed the same since an earlier one.
    private static func golden(_ version: ClusterVersion) throws -> [String: [UInt8]] {
        var all: [String: [UInt8]] = [:]
        for earlier in ClusterVersion.all where earlier <= version {
            all.merge(try self.lines(earlier)) { _, new in new }
        }
        return all
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// HOLDFAST_WRITE_GOLDEN=1 appends what is not kept yet of the newest version, and changes nothing that is.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["HOLDFAST_WRITE_GOLDEN"] != nil))
    func keepWhatIsNew() throws {
        let newest = ClusterVersion.newest
        if !FileManager.default.fileExists(atPath: Self.file(newest).path) {
            try Data().write(to: Self.file(newest))
        }
        let kept = try Self.golden(newest)
        let own = try Self.lines(newest)
        var text = try String(contentsOf: Self.file(newest), encoding: .utf8)
        for sample in Sample.all where own[sample.name] == nil {
            let bytes = sample.bytes(newest)
            if kept[sample.name] != bytes { text += "\(sample.name) \(Self.hex(bytes))\n" }
        }
        try Data(text.utf8).write(to: Self.file(newest))
    }

    @Test(arguments: ClusterVersion.all)
    func theBytesOfAVersionStay(version: ClusterVersion) throws {
        let golden = try Self.golden(version)
        for sample in Sample.all where sample.since <= version {
            guard let bytes = golden[sample.name] else {
                Issue.record("\(sample.name) is not kept: HOLDFAST_WRITE_GOLDEN=1, once it has its version")
                continue
            }
            #expect(
                sample.bytes(version) == bytes,
                "\(sample.name) of version \(version) changed: a change needs a version, docs/UPGRADE.md")
            #expect(version < ClusterVersion.newest || sample.isRead(bytes), "\(sample.name) is read back")
        }
        let names = Set(Sample.all.filter { $0.since <= version }.map(\.name))
        for name in golden.keys { #expect(names.contains(name), "\(name) is kept, and nothing writes it any more") }
    }

    @Test func namesAreUnique() {
        var seen: Set<String> = []
        for sample in Sample.all { #expect(seen.insert(sample.name).inserted, "\(sample.name) twice") }
    }

    /// Which first bytes a kind of record is read from: whatever is new among its cases is found here without being asked for.
    private static func tags<Value: BinaryRecord>(_: Value.Type, kind: String, before: [UInt8] = []) -> Set<UInt8> {
        var tags: Set<UInt8> = []
        for tag in UInt8.min ... .max {
            do throws(RecordError) {
                _ = try Value(decoding: before + [tag])
                tags.insert(tag)
            } catch {
                guard case .unknownTag(let unknown, tag) = error, "\(unknown)" == kind else {
                    tags.insert(tag)
                    continue
                }
            }
        }
        return tags
    }

    private static func sampled(_ prefix: String, at offset: Int = 0) -> Set<UInt8> {
        Set(Sample.all.filter { $0.name.hasPrefix(prefix) }.map { $0.bytes(.newest)[offset] })
    }

    @Test func everyCaseHasASample() {
        #expect(Self.tags(Command.self, kind: "command") == Self.sampled("command."))
        #expect(Self.tags(Mutation.self, kind: "mutation") == Self.sampled("mutation."))
        #expect(Self.tags(AdminRequest.self, kind: "admin request") == Self.sampled("request."))
        #expect(Self.tags(AdminReply.self, kind: "admin reply") == Self.sampled("reply."))
        #expect(Self.tags(PeerMessage.self, kind: "peer message") == Self.sampled("peer."))
        #expect(Self.tags(JoinReply.self, kind: "join reply") == Self.sampled("joinReply."))
        #expect(Self.tags(ClusterToServer.self, kind: "cluster message") == Self.sampled("toServer."))
        #expect(Self.tags(ServerToCluster.self, kind: "server message") == Self.sampled("toCluster."))
        #expect(Self.tags(Entry.Payload.self, kind: "entry") == Self.sampled("payload."))
        #expect(Self.tags(SnapshotOrder.self, kind: "snapshot order") == Self.sampled("request.snapshot.", at: 1))
        #expect(
            Self.tags(SnapshotOutcome.self, kind: "snapshot outcome") == Self.sampled("toCluster.snapshotDone", at: 9))
        let header = [UInt8](repeating: 0, count: 24)
        #expect(Self.tags(Message.self, kind: "raft message", before: header) == Self.sampled("raft.", at: 24))
    }
}
