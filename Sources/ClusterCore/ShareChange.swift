import StateRecords

/// What an administrator changes of a share's permissions: nothing that is not named.
package struct ShareChange: Equatable, BinaryRecord {
    package var name: String
    package var permissions: [SharePermission]
    /// Whose permission goes; "*": everybody's, which is what a new share has (everyone, full).
    package var removed: [String]
    package var isAccessBased: Bool?
    /// Version 2, as what follows.
    package var addedTraits: ShareTraits = []
    package var removedTraits: ShareTraits = []
    /// In the place of those that were; empty: none.
    package var hiddenFiles: [String]?

    package init(name: String, permissions: [SharePermission], removed: [String], isAccessBased: Bool?) {
        self.name = name
        self.permissions = permissions
        self.removed = removed
        self.isAccessBased = isAccessBased
    }

    /// Removals first.
    func apply(to share: inout ShareRecord) -> CommandResult {
        var changed = share
        for name in self.removed {
            changed.permissions.removeAll { name == "*" || $0.name.lowercased() == name.lowercased() }
        }
        for permission in self.permissions { changed.permit(permission) }
        guard changed.permissions.count <= ClusterLimits.sharePermissions else {
            return .refused(.tooMany("permissions of a share", limit: ClusterLimits.sharePermissions))
        }
        if let isAccessBased = self.isAccessBased { changed.isAccessBased = isAccessBased }
        changed.traits = changed.traits.subtracting(self.removedTraits).union(self.addedTraits)
        if let hiddenFiles = self.hiddenFiles {
            guard hiddenFiles.count <= ClusterLimits.hiddenFilePatterns else {
                return .refused(.tooMany("patterns of hidden files", limit: ClusterLimits.hiddenFilePatterns))
            }
            changed.hiddenFiles = hiddenFiles
        }
        share = changed
        return .done
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 2) { writer in
            writer.write(self.name)
            writer.write(self.permissions)
            writer.write(self.removed)
            writer.write(self.isAccessBased != nil)
            writer.write(self.isAccessBased ?? false)
            writer.write(self.addedTraits.rawValue)
            writer.write(self.removedTraits.rawValue)
            writer.write(self.hiddenFiles != nil)
            writer.write(self.hiddenFiles ?? [])
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (version, reader) throws(RecordError) in
            let name = try reader.read(String.self)
            let permissions = try reader.readArray(SharePermission.self)
            let removed = try reader.readStrings()
            let changes = try reader.read(Bool.self)
            let isAccessBased = try reader.read(Bool.self)
            var change = ShareChange(
                name: name, permissions: permissions, removed: removed, isAccessBased: changes ? isAccessBased : nil)
            guard version >= 2 else { return change }
            change.addedTraits = ShareTraits(rawValue: try reader.read())
            change.removedTraits = ShareTraits(rawValue: try reader.read())
            let changesHidden = try reader.read(Bool.self)
            let hiddenFiles = try reader.readStrings()
            if changesHidden { change.hiddenFiles = hiddenFiles }
            return change
        }
    }
}
