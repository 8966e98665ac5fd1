import FileStore
import SMB2Wire
import SMBServerCore

extension OpenFile {
    package func effectiveSecurity() throws(SMBError) -> SecurityDescriptor {
        try files { () throws(FileError) in try self.securityInForce() }
    }

    package func parentSecurity() throws(SMBError) -> SecurityDescriptor? {
        try files { () throws(FileError) -> SecurityDescriptor? in try self.directorySecurity() }
    }
}

/// The core's judgement, where FileStore asks for one.
struct AccessAuthority: OpenAuthority {
    let request: AccessRequest

    func admit(
        security: SecurityDescriptor, isDirectory: Bool, isReadOnly: Bool, action: CreateAction,
        parent: () throws(FileError) -> SecurityDescriptor?
    ) throws(FileError) -> AccessMask {
        let found = AccessRequest.Found(
            security: security, isDirectory: isDirectory, isReadOnly: isReadOnly, action: action)
        return try Self.refusing { () throws(SMBError) in
            try self.request.admit(found) { () throws(SMBError) in try files(parent) }
        }
    }

    func admitCreation(
        isDirectory: Bool, parent: SecurityDescriptor, explicit: [UInt8]?
    ) throws(FileError) -> (access: AccessMask, security: SecurityDescriptor) {
        try Self.refusing { () throws(SMBError) in
            var given: SecurityDescriptor?
            if let explicit {
                do throws(WireError) {
                    given = try SecurityDescriptor(parsing: ServerState.selfRelative(explicit.span.bytes).span.bytes)
                } catch {
                    throw SMBError(.invalidSecurityDescr, "\(error)")
                }
            }
            return try self.request.admitCreation(isDirectory: isDirectory, in: parent, explicit: given)
        }
    }

    private static func refusing<Value>(_ body: () throws(SMBError) -> Value) throws(FileError) -> Value {
        do throws(SMBError) { return try body() } catch { throw FileError(error.status, "access check") }
    }
}
