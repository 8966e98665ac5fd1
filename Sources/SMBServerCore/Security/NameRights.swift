import SMB2Wire
import StateRecords

/// What giving a file a name takes. [MS-FSA] 2.1.5.15.11, 2.1.5.15.6.
extension ServerState {
    /// The new name's directory is opened to add an entry to it; what had the name before is deleted. The old name needs no more
    /// than the DELETE that its handle has.
    func requireRights(
        to target: String, isDirectory: Bool, _ replaced: FileKey?, _ open: Open, _ fileSystem: any FileSystem
    ) throws(SMBError) {
        let parent = try fileSystem.directorySecurity(
            target.lastIndex(of: "\\").map { String(target[..<$0]) } ?? "", isPOSIX: open.isPOSIX)
        // Who uses the open now names nothing that the share does not let them.
        let user = self.user(of: open)
        let token = user.token
        let needed: AccessMask = isDirectory ? .addSubdirectory : .addFile
        let granted = AccessCheck.granted([needed, .deleteChild], by: parent, to: token)
        guard granted.contains(needed), self.maximalAccess(of: open.share, for: user).contains(needed) else {
            throw SMBError(.accessDenied, nil)
        }
        guard let replaced, !granted.contains(.deleteChild) else { return }
        let existing = try fileSystem.reopenFile(replaced, path: target, formerPath: "", access: .readControl)
        guard AccessCheck.granted(.delete, by: try existing.effectiveSecurity(), to: token) == .delete else {
            throw SMBError(.accessDenied, nil)
        }
    }
}
