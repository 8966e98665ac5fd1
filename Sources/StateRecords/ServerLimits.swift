/// What an administrator may bound of an SMB server. The raw values are the names that people use.
package enum ServerLimit: String, CaseIterable, Sendable {
    /// TCP connections of clients. One more is accepted and closed at once.
    case connections
    /// One more SESSION_SETUP is refused with STATUS_REQUEST_NOT_ACCEPTED, and so is one more TREE_CONNECT at its limit: a
    /// user is told that as many are connected as the server can take.
    case sessions
    /// Of all sessions together.
    case treeConnects = "tree-connects"
    /// Open files, directories and pipes; also the handles that wait for their clients. One more CREATE is refused with
    /// STATUS_TOO_MANY_OPENED_FILES.
    case opens
    /// Byte ranges locked in all files. One more LOCK is refused with STATUS_INSUFFICIENT_RESOURCES, and so are the following
    /// at theirs.
    case locks
    /// CHANGE_NOTIFY requests that wait.
    case notifies
    /// Requests that wait for anything, the former among them. [MS-SMB2] 3.3.4.2.
    case requests
    /// Bytes of requests that are kept until others have given up what they cache.
    case heldBytes = "held-bytes"
    /// Bytes that open pipes keep: answers that nobody has read, calls that are not whole.
    case pipeBytes = "pipe-bytes"

    package var standard: UInt64 {
        switch self {
        case .connections, .sessions: 16_384
        case .treeConnects, .notifies: 65_536
        case .opens, .locks: 1 << 20
        case .requests: 1 << 18
        case .heldBytes: 256 << 20
        case .pipeBytes: 64 << 20
        }
    }

    package var range: ClosedRange<UInt64> {
        switch self {
        case .connections, .sessions: 1...65_536
        case .treeConnects, .notifies, .requests: 1...1 << 20
        case .opens, .locks: 1...1 << 22
        // At least what one connection may have waiting.
        case .heldBytes: 32 << 20...16 << 30
        // More than one pipe keeps.
        case .pipeBytes: 4 << 20...16 << 30
        }
    }

    /// The version of the cluster with which it came. The limits are in the order of their versions.
    package var since: ClusterVersion { self == .pipeBytes ? 2 : 1 }
}

/// Why a limit was not taken. For people.
package struct LimitError: Error, Equatable, CustomStringConvertible {
    package let description: String

    private init(_ description: String) { self.description = description }

    static func unknown(_ name: String) -> LimitError {
        LimitError(
            "there is no limit \(name): they are \(ServerLimit.allCases.map(\.rawValue).joined(separator: ", "))")
    }

    static func outOfRange(_ limit: ServerLimit, _ value: String) -> LimitError {
        LimitError(
            "\(limit.rawValue) must be a number from \(limit.range.lowerBound) to \(limit.range.upperBound), and "
                + "\(value) is none")
    }

    static func malformed(_ text: String) -> LimitError { LimitError("\(text): NAME=VALUE is wanted") }
}

/// The limits in force: always within their ranges.
package struct ServerLimits: Equatable, BinaryRecord {
    /// In the order of `ServerLimit.allCases`, which only grows at its end: a record of an older version is shorter.
    private var values = ServerLimit.allCases.map(\.standard)

    package init() {}

    package subscript(limit: ServerLimit) -> UInt64 {
        self.values[ServerLimit.allCases.firstIndex(of: limit) ?? 0]
    }

    package mutating func set(_ limit: ServerLimit, to value: UInt64) throws(LimitError) {
        guard limit.range.contains(value) else { throw .outOfRange(limit, "\(value)") }
        self.values[ServerLimit.allCases.firstIndex(of: limit) ?? 0] = value
    }

    /// By what a person typed.
    package mutating func set(_ name: String, to text: String) throws(LimitError) {
        guard let limit = ServerLimit(rawValue: name) else { throw .unknown(name) }
        guard let value = UInt64(text) else { throw .outOfRange(limit, text) }
        try self.set(limit, to: value)
    }

    /// `NAME=VALUE`.
    package mutating func set(_ assignment: String) throws(LimitError) {
        guard let equals = assignment.firstIndex(of: "=") else { throw .malformed(assignment) }
        try self.set(String(assignment[..<equals]), to: String(assignment[assignment.index(after: equals)...]))
    }

    package func encode(into writer: inout BinaryWriter) {
        let count = ServerLimit.allCases.count { $0.since <= writer.version }
        writer.section(version: 1) { writer in
            writer.write(UInt32(count))
            for value in self.values.prefix(count) { writer.write(value) }
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let count = Int(try reader.read(UInt32.self))
            var limits = ServerLimits()
            for (index, limit) in ServerLimit.allCases.enumerated() where index < count {
                // Another version may allow what this one does not.
                let value = try reader.read(UInt64.self)
                limits.values[index] = min(max(value, limit.range.lowerBound), limit.range.upperBound)
            }
            return limits
        }
    }
}
