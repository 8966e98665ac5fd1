import StateRecords

extension ClusterState {
    /// Opens that an estimate looks at; each of the others counts as their average.
    private static let sampledOpens = 256

    /// About how many bytes `encoded` has, without the time that all of it would take.
    package func estimatedByteCount(sampling count: Int = Self.sampledOpens) -> Int {
        let sample = self.handles.opens.values.prefix(count)
        let sampled = sample.reduce(0) { $0 + $1.encoded(for: self.version).count }
        let opens = sample.isEmpty ? 0 : sampled * self.handles.opens.count / sample.count
        return self.withoutOpens.encoded.count + opens
    }
}
