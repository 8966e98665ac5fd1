import SMB2Wire

/// Leases on directories: a client that has one lists the directory from its own memory, so whatever changes what would be
/// listed breaks it, except what the lease's holder does by an open that names it as its parent's.
/// [MS-SMB2] 3.3.5.9.11; [MS-FSA] 2.1.4.12 PARENT_OBJECT, 2.1.4.17.
extension ServerState {
    /// An entry of a directory changes: comes, goes, or shows other times or another size.
    ///
    /// - Parameters:
    ///   - path: the entry's, within the share; perhaps with a stream.
    ///   - open: through which it is done.
    ///   - isKnownToClient: whoever has the lease that the open names as its directory's made this change, and keeps it.
    mutating func directoryChanged(at path: String, by open: Open, isKnownToClient: Bool = true) {
        // Without a directory lease there is nothing to look for, and that costs a look into the file system.
        guard self.directoryLeases > 0, !path.isEmpty else { return }
        let name = path.prefix { $0 != ":" }
        let parent = name.lastIndex(of: "\\").map { String(name[..<$0]) } ?? ""
        guard let key = try? open.share.fileSystem?.findFile(parent), let entry = self.fileIndex[key] else { return }
        // The key alone counts, whichever client brings it: [MS-FSA] 2.1.4.12.2 compares keys. They are random numbers that only
        // the lease's client knows, and whom it tells.
        let holder = self.files[entry]?.oplocks.holders.first {
            $0.lease != nil && $0.lease?.id.key == open.parentLease?.key
        }
        let owner = isKnownToClient ? holder?.owner : nil
        self.tell(self.files[entry]?.oplocks.check(.change, by: owner, now: self.now), of: entry)
    }
}
