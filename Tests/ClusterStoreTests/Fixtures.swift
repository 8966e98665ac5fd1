import ClusterCore
import Foundation
import Raft
import SQLite
import StateRecords

@testable import ClusterStore

/// A folder that is gone with its test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/holdfast-store-XXXXXX".utf8CString)
        self.path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }
}

let founding = ClusterState(
    founding: ClusterConfiguration(
        name: "tshare", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "secret",
        nodes: [NodeRecord(id: 1, name: "node-a", address: "10.0.0.1:7420", role: .data, interface: "eth0")],
        virtualIPs: ["10.0.0.10/24"], lun: "iscsi://u%p@h/t/1", fileSystem: Array(0..<16)),
    membership: Configuration(voters: [1]))
let base = Snapshot(index: 1, term: 1, configuration: Configuration(voters: [1]))

func entry(_ index: LogIndex, _ term: Term, _ text: String = "x") -> Entry {
    Entry(index: index, term: term, payload: .command(Array(text.utf8)))
}

let identity = NodeIdentity(
    id: 1, name: "node-a", clusterName: "tshare", address: "10.0.0.1:7420", role: .data, certificatePEM: "c",
    keyPEM: "k", authorityPEM: "a", incarnation: 3,
    peers: [1, 2].map { NodeRecord(id: $0, name: "n\($0)", address: "h:\($0)", role: .data, interface: "eth0") })

extension TemporaryFolder {
    var database: String { self.path + "/state.db" }
    var state: StateFolder { StateFolder(path: self.path) }

    /// A node of two in the middle of its life, stopped; returns what it knew.
    @discardableResult
    func live() throws -> StoredContents {
        let database = try StateDatabase.open(path: self.database)
        try database.commit([
            .found(base: base, HardState(term: 1, commitIndex: 1), founding), .identity(identity),
            .quorumMemory([1, 2, 3]),
            .write(
                Write(
                    sequence: 1, hardState: HardState(term: 2, votedFor: 1, commitIndex: 3),
                    entries: (2...40).map { entry($0, 2, String(repeating: "entry \($0) ", count: 20)) }), state: nil),
        ])
        try NodeFile(identity: identity, term: 2, votedFor: 1).write(to: self.state.nodeFile)
        return try database.load()
    }

    func bytes(_ path: String) -> [UInt8] { (FileManager.default.contents(atPath: path)).map(Array.init) ?? [] }

    func put(_ bytes: some Collection<UInt8>, _ path: String) {
        _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
    }
}
