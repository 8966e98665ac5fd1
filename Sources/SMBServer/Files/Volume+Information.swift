import FileStore
import SMB2Wire
import SMBServerCore
import StateRecords

extension Volume {
    package func volumeFacts() throws(SMBError) -> VolumeFacts {
        let space = try files { () throws(FileError) in try self.space() }
        var facts = VolumeFacts(
            label: self.options.label, serialNumber: self.serialNumber, creationTime: self.creationTime,
            attributes: self.attributeFlags, fileSystemName: "NTFS", objectID: self.filesystemID,
            totalUnits: space.totalUnits, availableUnits: space.availableUnits, freeUnits: space.freeUnits,
            sectorsPerUnit: space.sectorsPerUnit, bytesPerSector: space.bytesPerSector,
            maximumNameLength: space.maximumNameLength)
        facts.totalNodes = space.totalInodes
        facts.freeNodes = space.freeInodes
        return facts
    }

    package func findFile(_ path: String) throws(SMBError) -> FileKey? {
        let found = try files { () throws(FileError) in try self.lookup(try NTPath(path)) }
        guard let identity = found?.identity else { return nil }
        return FileKey(
            identity: StateRecords.FileIdentity(
                fileSystem: GUID16(identity.filesystem), handleType: identity.handleType, handle: identity.handle))
    }

    package func renameFile(
        _ handle: any FileHandle, to path: String, replacesExisting: Bool
    ) throws(SMBError) {
        try files { () throws(FileError) in
            try self.rename(OpenFile.of(handle), to: try NTPath(path), replaceExisting: replacesExisting)
        }
    }

    package func renameStream(
        _ handles: [any FileHandle], to name: String, replacesExisting: Bool
    ) throws(SMBError) {
        try files { () throws(FileError) in
            try self.renameStream(
                handles.map { OpenFile.of($0) }, to: Array(name.utf8), replaceExisting: replacesExisting)
        }
    }

    package func streamName(_ path: String) throws(SMBError) -> String? {
        try files { () throws(FileError) in
            try NTPath(path).stream.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    package func linkFile(_ handle: any FileHandle, to path: String, replacesExisting: Bool) throws(SMBError) {
        try files { () throws(FileError) in
            try self.link(OpenFile.of(handle), to: try NTPath(path), replaceExisting: replacesExisting)
        }
    }
}
