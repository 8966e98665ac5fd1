import StateRecords

/// `clusterctl restore`. Secret.
package struct RestoreParameters: Equatable, BinaryRecord {
    /// ``ClusterBackup/bytes``.
    package var backup: [UInt8]
    package var nodeName: String
    package var address: String
    package var interface: String
    /// Empty: those in the backup.
    package var virtualIP: String
    /// Empty: the one in the backup.
    package var lun: String
    /// Make a file system on a LUN that is proved empty.
    package var formats: Bool
    /// Throw out reservations that are there.
    package var forces: Bool
    package var acceptsUnsafe: Bool

    package init(
        backup: [UInt8], nodeName: String, address: String, interface: String, virtualIP: String, lun: String,
        formats: Bool, forces: Bool, acceptsUnsafe: Bool
    ) {
        self.backup = backup
        self.nodeName = nodeName
        self.address = address
        self.interface = interface
        self.virtualIP = virtualIP
        self.lun = lun
        self.formats = formats
        self.forces = forces
        self.acceptsUnsafe = acceptsUnsafe
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.write(self.backup)
        writer.section(version: 1) { writer in
            writer.write(self.nodeName)
            writer.write(self.address)
            writer.write(self.interface)
            writer.write(self.virtualIP)
            writer.write(self.lun)
            writer.write(self.formats)
            writer.write(self.forces)
            writer.write(self.acceptsUnsafe)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        let backup = try reader.read([UInt8].self)
        self = try reader.section { (_, reader) throws(RecordError) in
            RestoreParameters(
                backup: backup, nodeName: try reader.read(), address: try reader.read(), interface: try reader.read(),
                virtualIP: try reader.read(), lun: try reader.read(), formats: try reader.read(),
                forces: try reader.read(), acceptsUnsafe: try reader.read())
        }
    }
}
