/// How often a share's snapshots are made, and how many of those are kept. Replicated configuration; the server that serves
/// goes by it.
package struct SnapshotSchedule: Equatable, BinaryRecord {
    package var share: String
    /// Seconds. One is made in each period of this length, counted from 1970-01-01 00:00 UTC, as soon as it can be.
    package var everySeconds: UInt32
    /// The newest ones that the schedule made stay; those that somebody made by hand are nobody's to count.
    package var keep: UInt32

    /// Shorter would only measure the disk.
    package static let shortestSeconds: UInt32 = 10
    /// A year.
    package static let longestSeconds: UInt32 = 366 * 86_400
    /// As many as a share can have, and room for some made by hand.
    package static let mostKept: UInt32 = 500

    package init(share: String, everySeconds: UInt32, keep: UInt32) {
        self.share = share
        self.everySeconds = everySeconds
        self.keep = keep
    }

    /// Nil when it can be kept, else what is wrong with it.
    package var problem: String? {
        guard (Self.shortestSeconds...Self.longestSeconds).contains(self.everySeconds) else {
            return "a schedule's period must be \(Self.shortestSeconds) s to 366 days"
        }
        guard (1...Self.mostKept).contains(self.keep) else {
            return "a schedule keeps 1 to \(Self.mostKept) snapshots"
        }
        return nil
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.share)
            writer.write(self.everySeconds)
            writer.write(self.keep)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            SnapshotSchedule(share: try reader.read(), everySeconds: try reader.read(), keep: try reader.read())
        }
    }
}

/// What an administrator asks of the server that serves the share.
package enum SnapshotOrder: Equatable, BinaryRecord {
    case create(share: String)
    /// `token`: `@GMT-…`.
    case delete(share: String, token: String)
    /// Of one share, or, without a name, of all.
    case list(share: String)
    /// Whatever is being made or removed of the share, or waits for it.
    case cancel(share: String)

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .create(let share):
            writer.write(UInt8(1))
            writer.write(share)
        case .delete(let share, let token):
            writer.write(UInt8(2))
            writer.write(share)
            writer.write(token)
        case .list(let share):
            writer.write(UInt8(3))
            writer.write(share)
        case .cancel(let share):
            writer.write(UInt8(4))
            writer.write(share)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .create(share: try reader.read())
        case 2: self = .delete(share: try reader.read(), token: try reader.read())
        case 3: self = .list(share: try reader.read())
        case 4: self = .cancel(share: try reader.read())
        default: throw .unknownTag(kind: "snapshot order", value: tag)
        }
    }
}

/// A snapshot in a list.
package struct SnapshotRecord: Equatable, BinaryRecord {
    package var share: String
    package var token: String
    package var isScheduled: Bool

    package init(share: String, token: String, isScheduled: Bool) {
        self.share = share
        self.token = token
        self.isScheduled = isScheduled
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.share)
        writer.write(self.token)
        writer.write(self.isScheduled)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.init(share: try reader.read(), token: try reader.read(), isScheduled: try reader.read())
    }
}

/// What became of a ``SnapshotOrder``.
package enum SnapshotOutcome: Equatable, BinaryRecord {
    case done(String)
    /// What happened and what to do next.
    case failed(String)
    case list([SnapshotRecord])

    package func encode(into writer: inout BinaryWriter) {
        switch self {
        case .done(let text):
            writer.write(UInt8(1))
            writer.write(text)
        case .failed(let text):
            writer.write(UInt8(2))
            writer.write(text)
        case .list(let snapshots):
            writer.write(UInt8(3))
            writer.write(snapshots)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let tag = try reader.read(UInt8.self)
        switch tag {
        case 1: self = .done(try reader.read())
        case 2: self = .failed(try reader.read())
        case 3: self = .list(try reader.readArray())
        default: throw .unknownTag(kind: "snapshot outcome", value: tag)
        }
    }
}
