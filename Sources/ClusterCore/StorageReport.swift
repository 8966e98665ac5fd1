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
        Grade(rawValue: self.findings.map(\.grade.rawValue).max() ?? 0) ?? .unusable
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.lun)
            writer.write(self.product)
            writer.write(self.byteCount)
            writer.write(self.blockSize)
            writer.write(self.isThin)
            writer.write(self.findings)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            StorageReport(
                lun: try reader.read(), product: try reader.read(), byteCount: try reader.read(),
                blockSize: try reader.read(), isThin: try reader.read(), findings: try reader.readArray())
        }
    }
}
