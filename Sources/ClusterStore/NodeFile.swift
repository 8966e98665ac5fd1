import ClusterCore
import Glibc
import Raft
import StateRecords

/// What a node keeps of itself beside `state.db`, in `node.identity`: enough to notice that the database is gone, damaged or
/// older than it was, and to ask the other nodes to take this one back. Secret: it holds the node's key.
package struct NodeFile: Equatable, Sendable {
    package var identity: NodeIdentity
    /// The last term that this node was in, and whom it voted for there: a database that knows less forgot a promise.
    package var term: Term
    package var votedFor: NodeID?
    /// Why what the database holds is not to be believed; nil where it is.
    package var lost: String?

    package init(identity: NodeIdentity, term: Term = 0, votedFor: NodeID? = nil, lost: String? = nil) {
        self.identity = identity
        self.term = term
        self.votedFor = votedFor
        self.lost = lost
    }

    package enum Reading: Equatable, Sendable {
        case missing
        case damaged(String)
        case found(NodeFile)
    }

    private static let magic: [UInt8] = Array("HFNODE\r\n".utf8)
    private static let longest = 1 << 20

    // MARK: Bytes

    package var bytes: [UInt8] {
        var writer = BinaryWriter()
        for byte in Self.magic { writer.write(byte) }
        writer.section(version: 1) { writer in
            writer.write(self.identity)
            writer.write(self.term)
            writer.write(self.votedFor != nil)
            writer.write(self.votedFor ?? 0)
            writer.write(self.lost != nil)
            writer.write(self.lost ?? "")
        }
        writer.write(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    package static func reading(_ bytes: [UInt8]) -> Reading {
        guard bytes.count > Self.magic.count + 4, bytes.starts(with: Self.magic) else {
            return .damaged("it is no file of a node")
        }
        var tail = BinaryReader(bytes.suffix(4))
        let body = Array(bytes.dropLast(4))
        guard let sum = try? tail.read(UInt32.self), sum == CRC32C.of(body) else {
            return .damaged("the checksum is wrong")
        }
        do throws(RecordError) {
            var reader = BinaryReader(body.dropFirst(Self.magic.count))
            let file = try reader.section { (_, reader) throws(RecordError) in
                let identity = try reader.read(NodeIdentity.self)
                let term = try reader.read(Term.self)
                let hasVoted = try reader.read(Bool.self)
                let vote = try reader.read(NodeID.self)
                let isLost = try reader.read(Bool.self)
                let lost = try reader.read(String.self)
                return NodeFile(
                    identity: identity, term: term, votedFor: hasVoted ? vote : nil, lost: isLost ? lost : nil)
            }
            return .found(file)
        } catch {
            return .damaged("\(error)")
        }
    }

    // MARK: The file

    package static func read(_ path: String) throws(StoreError) -> Reading {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return .missing }
            throw .file("\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= Self.longest {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 0 else { throw .file("\(path) cannot be read: \(String(cString: strerror(errno)))") }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return Self.reading(bytes)
    }

    /// In the place of whatever was there, on stable storage when it returns: the old one or the new one, never half.
    package func write(to path: String) throws(StoreError) {
        let bytes = self.bytes
        let draft = path + ".new"
        func failed(_ operation: String) -> StoreError {
            .file("\(path) cannot be written (\(operation)): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(draft, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failed("open") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw failed("write") }
        guard fsync(descriptor) == 0 else { throw failed("fsync") }
        guard rename(draft, path) == 0 else { throw failed("rename") }
        let folder = open(path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".", O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { throw failed("open of the folder") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failed("fsync of the folder") }
    }
}
