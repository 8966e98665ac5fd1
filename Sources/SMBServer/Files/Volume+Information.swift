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
        let (volume, path) = try self.place(of: path)
        let found = try files { () throws(FileError) in try volume.lookup(path) }
        guard let identity = found?.identity else { return nil }
        return FileKey(
            identity: StateRecords.FileIdentity(
                fileSystem: GUID16(identity.filesystem), handleType: identity.handleType, handle: identity.handle))
    }

    package func renameFile(
        _ handle: any FileHandle, to path: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError) {
        let (volume, path) = try self.place(of: path)
        // From a snapshot, or into one.
        guard volume === self else { throw SMBError(.notSameDevice) }
        let file = try self.own(handle, otherwise: .notSameDevice)
        try files { () throws(FileError) in
            try self.rename(file, to: path, replaceExisting: replacesExisting, isMarked: isMarked)
        }
    }

    package func renameStream(
        _ handles: [any FileHandle], to name: String, replacesExisting: Bool, isMarked: Bool
    ) throws(SMBError) {
        var streams: [OpenFile] = []
        for handle in handles { streams.append(try self.own(handle, otherwise: .mediaWriteProtected)) }
        let owned = streams
        try files { () throws(FileError) in
            try self.renameStream(
                owned, to: Array(name.utf8), replaceExisting: replacesExisting, isMarked: isMarked)
        }
    }

    package func beginMakingUnnamed(
        _ handle: any FileHandle, replacesExisting: Bool
    ) throws(SMBError) -> any StreamMoving {
        let stream = try self.own(handle, otherwise: .mediaWriteProtected)
        return try files { () throws(FileError) in
            try self.beginMakingUnnamed(stream, replaceExisting: replacesExisting)
        }
    }

    package func streamName(_ path: String) throws(SMBError) -> String? {
        try files { () throws(FileError) in
            let path = try NTPath(path)
            guard path.stream != nil || path.namesData else { throw FileError(.invalidParameter, "no stream's name") }
            return path.stream.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    package func linkFile(_ handle: any FileHandle, to path: String, replacesExisting: Bool) throws(SMBError) {
        let (volume, path) = try self.place(of: path)
        guard volume === self else { throw SMBError(.notSameDevice) }
        let file = try self.own(handle, otherwise: .notSameDevice)
        try files { () throws(FileError) in try self.link(file, to: path, replaceExisting: replacesExisting) }
    }
}

extension StreamMove: StreamMoving {
    package func carryOut() throws(SMBError) { try files { () throws(FileError) in try self.run() } }

    package func complete(_ handles: [any FileHandle], isMarked: Bool) throws(SMBError) {
        let opens = handles.map { OpenFile.of($0) }
        try files { () throws(FileError) in try self.commit(opens, isMarked: isMarked) }
    }

    package func takeBack() throws(SMBError) { try files { () throws(FileError) in try self.undo() } }

    package func letGo() { self.close() }
}
