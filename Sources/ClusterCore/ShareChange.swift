import StateRecords

/// What an administrator changes of a share's permissions: nothing that is not named.
package struct ShareChange: Equatable, BinaryRecord {
    package var name: String
    package var permissions: [SharePermission]
    /// Whose permission goes; "*": everybody's, which is what a new share has (everyone, full).
    package var removed: [String]
    package var isAccessBased: Bool?

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
        share = changed
        return .done
    }

    package func encode(into writer: inout BinaryWriter) {
        writer.section(version: 1) { writer in
            writer.write(self.name)
            writer.write(self.permissions)
            writer.write(self.removed)
            writer.write(self.isAccessBased != nil)
            writer.write(self.isAccessBased ?? false)
        }
    }

    package init(from reader: inout BinaryReader) throws(RecordError) {
        self = try reader.section { (_, reader) throws(RecordError) in
            let name = try reader.read(String.self)
            let permissions = try reader.readArray(SharePermission.self)
            let removed = try reader.readStrings()
            let changes = try reader.read(Bool.self)
            let isAccessBased = try reader.read(Bool.self)
            return ShareChange(
                name: name, permissions: permissions, removed: removed, isAccessBased: changes ? isAccessBased : nil)
        }
    }
}
