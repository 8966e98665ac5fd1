import StateRecords

/// A value of which every encoding is kept: in `Golden`, a file for each version of the cluster.
struct Sample: Sendable {
    /// `kind.case`, unique.
    var name: String
    /// As the program writes it while the cluster runs that version.
    var bytes: @Sendable (ClusterVersion) -> [UInt8]
    /// The bytes are read as this value.
    var isRead: @Sendable ([UInt8]) -> Bool
    /// The version with which it came.
    var since: ClusterVersion = .oldest

    init<Value: BinaryRecord>(_ name: String, _ value: Value, since: ClusterVersion = .oldest) {
        self.name = name
        self.bytes = { value.encoded(for: $0) }
        self.isRead = { (try? Value(decoding: $0)) == value }
        self.since = since
    }

    init(
        _ name: String, bytes: @escaping @Sendable (ClusterVersion) -> [UInt8],
        isRead: @escaping @Sendable ([UInt8]) -> Bool
    ) {
        self.name = name
        self.bytes = bytes
        self.isRead = isRead
    }

    static var all: [Sample] {
        self.records + self.commands + self.requests + self.replies + self.messages + self.stored
    }
}
