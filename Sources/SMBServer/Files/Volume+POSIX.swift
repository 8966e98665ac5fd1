import FileStore
import SMBServerCore
import StateRecords

// What POSIX opens and Macs ask for, said by FileStore.

extension Volume {
    package func findFileExactly(_ path: String) throws(SMBError) -> FileKey? {
        let found = try files { () throws(FileError) in try self.lookup(try NTPath(path), isPOSIX: true) }
        guard let identity = found?.identity else { return nil }
        return FileKey(
            identity: StateRecords.FileIdentity(
                fileSystem: GUID16(identity.filesystem), handleType: identity.handleType, handle: identity.handle))
    }
}

extension OpenFile {
    package func changeMode(_ mode: UInt32) throws(SMBError) {
        try files { () throws(FileError) in try self.setMode(mode) }
    }

    package func adoptAttributes(of source: any FileHandle) throws(SMBError) {
        try files { () throws(FileError) in try self.adoptAttributes(of: OpenFile.of(source)) }
    }

    package func changeOwner(uid: UInt32?, gid: UInt32?) throws(SMBError) {
        try files { () throws(FileError) in try self.setOwner(uid: uid, gid: gid) }
    }
}
