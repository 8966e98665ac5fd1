import Raft
import StateRecords

/// A quorum disk of the cluster, and which of its areas is whose. docs/QUORUM.md.
package struct QuorumDiskRecord: Equatable, BinaryRecord {
    /// In Raft's configuration; given once, as nodes' ids are.
    package var number: NodeID
    /// `iscsi://user%password@host/iqn/lun`. Secret.
    package var lun: String
    /// What its superblock says.
    package var disk: GUID16
    /// The node of each area, in order; an area is never given to another node, whatever becomes of its first.
    package var areas: [NodeID]
    package var areaCount: UInt32
    package var ringByteCount: UInt64
    package var checkpointByteCount: UInt64

    package init(
        number: NodeID = 0, lun: String, disk: GUID16, areas: [NodeID] = [], areaCount: UInt32, ringByteCount: UInt64,
        checkpointByteCount: UInt64
    ) {
        self.number = number
        self.lun = lun
        self.disk = disk
        self.areas = areas
        self.areaCount = areaCount
        self.ringByteCount = ringByteCount
        self.checkpointByteCount = checkpointByteCount
    }

    /// nil: more nodes joined in this disk's life than it has areas; this one cannot use it.
    package func area(of node: NodeID) -> Int? { self.areas.firstIndex(of: node) }

    package mutating func assignArea(to node: NodeID) {
        if self.areas.count < Int(self.areaCount), !self.areas.contains(node) { self.areas.append(node) }
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.number)
            writer.write(self.lun)
            writer.write(self.disk)
            writer.write(UInt32(self.areas.count))
            for node in self.areas { writer.write(node) }
            writer.write(self.areaCount)
            writer.write(self.ringByteCount)
            writer.write(self.checkpointByteCount)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let number = try reader.read(NodeID.self)
            let lun = try reader.read(String.self)
            let disk = try reader.read(GUID16.self)
            let count = Int(try reader.read(UInt32.self))
            guard count <= reader.left / 8 else { throw .truncated(needed: count * 8, left: reader.left) }
            var areas: [NodeID] = []
            for _ in 0..<count { areas.append(try reader.read()) }
            return QuorumDiskRecord(
                number: number, lun: lun, disk: disk, areas: areas, areaCount: try reader.read(),
                ringByteCount: try reader.read(), checkpointByteCount: try reader.read())
        }
    }
}

/// The quorum disks that the configuration knows.
package struct QuorumDisks: Equatable, BinaryRecord {
    /// The wanted one last; before it the one that it replaces, which Raft may still have.
    package private(set) var records: [QuorumDiskRecord] = []
    /// The number of the one that is to vote; 0: none is.
    package private(set) var wanted: NodeID = 0
    private var next: NodeID = firstDiskID

    package init() {}

    package func record(_ number: NodeID) -> QuorumDiskRecord? { self.records.first { $0.number == number } }

    /// Those on which a vote rests, or is about to: the member's, and the one that is to vote.
    package func inUse(_ membership: Configuration) -> [QuorumDiskRecord] {
        self.records.filter { $0.number == membership.disk || $0.number == self.wanted }
    }

    /// nil: the cluster is to be without one. Returns the new one's number.
    package mutating func want(_ record: QuorumDiskRecord?, nodes: [NodeID]) {
        // One that never became a member has no promises to keep; the one before the last is out by now.
        self.records = self.records.suffix(1)
        self.wanted = 0
        guard var record else { return }
        record.number = self.next
        record.areas = []
        for node in nodes { record.assignArea(to: node) }
        self.next += 1
        self.wanted = record.number
        self.records.append(record)
    }

    package mutating func added(_ node: NodeID) {
        for index in self.records.indices { self.records[index].assignArea(to: node) }
    }

    /// The next step towards having the wanted disk, and no other, as a voter.
    package func nextChange(_ membership: Configuration) -> ConfigurationChange? {
        if let member = membership.disk { return member == self.wanted ? nil : .remove(member) }
        return self.wanted == 0 ? nil : .addLearner(self.wanted)
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.records)
        writer.write(self.wanted)
        writer.write(self.next)
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self.records = try reader.readArray()
        self.wanted = try reader.read()
        self.next = try reader.read()
    }
}
