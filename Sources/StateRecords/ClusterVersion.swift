/// A version of the cluster: which commands, messages and fields there are, and how each is encoded. One number for all of
/// it, counted up with each change; what each brought is ``ClusterVersion/brought``, the rule for the next docs/UPGRADE.md.
package struct ClusterVersion: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The oldest that this program can run.
    package static let oldest: ClusterVersion = 1
    /// The newest that this program can run.
    package static let newest: ClusterVersion = 2
    /// All that this program can run, ascending.
    package static let all = (oldest.rawValue...newest.rawValue).map { ClusterVersion(rawValue: $0) }
}

extension ClusterVersion: ExpressibleByIntegerLiteral, Comparable, CustomStringConvertible {
    package init(integerLiteral value: UInt16) { self.rawValue = value }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package var description: String { "\(self.rawValue)" }
}

/// Which versions of the cluster a program can run.
package struct ClusterVersionRange: Equatable, Sendable {
    package var oldest: ClusterVersion
    package var newest: ClusterVersion

    package init(oldest: ClusterVersion, newest: ClusterVersion) {
        self.oldest = oldest
        self.newest = max(oldest, newest)
    }

    /// This program's.
    package static let program = ClusterVersionRange(oldest: .oldest, newest: .newest)
    /// Of a node that says nothing: the programs before version 2 did not.
    package static let unstated = ClusterVersionRange(oldest: 1, newest: 1)

    package func contains(_ version: ClusterVersion) -> Bool { version >= self.oldest && version <= self.newest }
}

extension ClusterVersionRange: BinaryRecord, CustomStringConvertible {
    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.oldest.rawValue)
        writer.write(self.newest.rawValue)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.init(
            oldest: ClusterVersion(rawValue: try reader.read()), newest: ClusterVersion(rawValue: try reader.read()))
    }

    package var description: String {
        self.oldest == self.newest ? "\(self.newest)" : "\(self.oldest) to \(self.newest)"
    }
}

/// What a node runs, as it says itself.
package struct NodeProgram: Equatable, BinaryRecord {
    /// The program's own version; for people, nothing decides by it.
    package var name: String
    package var versions: ClusterVersionRange

    /// Of this program, as `--version` shows it. Raised with each release.
    package static let ownName = "0.2"
    /// Characters of a name that are kept.
    package static let longestName = 40

    package init(name: String = NodeProgram.ownName, versions: ClusterVersionRange) {
        self.name = String(name.prefix(Self.longestName))
        self.versions = versions
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.name)
            writer.write(self.versions)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            NodeProgram(name: try reader.read(), versions: try reader.read())
        }
    }
}
