import StateRecords

/// What a check of an iSCSI target found, for people: `clusterctl storage check`.
package struct StorageReport: Equatable, BinaryRecord {
    package enum Grade: UInt8, Sendable {
        case good = 0
        case note = 1
        case unsafe = 2
        case unusable = 3
    }

    package struct Finding: Equatable, BinaryRecord {
        package var grade: Grade
        package var text: String

        package init(_ grade: Grade, _ text: String) {
            self.grade = grade
            self.text = text
        }

        package func encode(into writer: inout BinaryWriter) {
            writer.write(self.grade.rawValue)
            writer.write(self.text)
        }

        package init(from reader: inout BinaryReader) throws(RecordError) {
            let tag = try reader.read(UInt8.self)
            guard let grade = Grade(rawValue: tag) else { throw .unknownTag(kind: "finding", value: tag) }
            self.init(grade, try reader.read())
        }
    }

    /// Without its password.
    package var lun: String
    package var product: String
    package var byteCount: UInt64
    package var blockSize: UInt32
    package var isThin: Bool
    package var findings: [Finding]
    /// What was looked at besides: the cluster's quorum disk. In section 2; these have no others.
    package var others: [StorageReport] = []

    package init(
        lun: String, product: String, byteCount: UInt64, blockSize: UInt32, isThin: Bool, findings: [Finding]
    ) {
        self.lun = lun
        self.product = product
        self.byteCount = byteCount
        self.blockSize = blockSize
        self.isThin = isThin
        self.findings = findings
    }

    package var grade: Grade {
        let own = self.findings.map(\.grade.rawValue).max() ?? 0
        return Grade(rawValue: self.others.map(\.grade.rawValue).reduce(own, max)) ?? .unusable
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 2) { writer in
            writer.write(self.lun)
            writer.write(self.product)
            writer.write(self.byteCount)
            writer.write(self.blockSize)
            writer.write(self.isThin)
            writer.write(self.findings)
            writer.write(self.others)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            var report = StorageReport(
                lun: try reader.read(), product: try reader.read(), byteCount: try reader.read(),
                blockSize: try reader.read(), isThin: try reader.read(), findings: try reader.readArray())
            if version >= 2 { report.others = try reader.readArray() }
            return report
        }
    }
}
