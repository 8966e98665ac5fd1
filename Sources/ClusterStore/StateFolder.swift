import Glibc
import Raft
import StateRecords

/// A node's state directory: `state.db`, `node.identity` beside it, and what was set aside because it was damaged.
package struct StateFolder: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    package var database: String { "\(self.path)/state.db" }
    package var nodeFile: String { "\(self.path)/node.identity" }

    /// Damaged databases that stay for whoever wants to look at them; older ones go.
    package static let keptDamaged = 3
    private static let damagedPrefix = "state.db.damaged-"
    private static let suffixes = ["", "-wal", "-shm"]

    /// This node's part in a cluster ended: nothing of it stays.
    package func forget() {
        unlink(self.nodeFile)
        for suffix in Self.suffixes { unlink(self.database + suffix) }
    }

    /// Opens the database, and finds out whether it holds what this node knew last. What does not is set aside, and an empty
    /// database stands in its place: the node's contents are then to come from the others.
    func open(newest: ClusterVersion = .newest) throws(StoreError) -> StateStart {
        let beside = try NodeFile.read(self.nodeFile)
        let existed = self.databaseExists
        var empty: StateStart?
        var reason: String
        do throws(StoreError) {
            let database = try StateDatabase.open(path: self.database, newest: newest)
            let contents = try database.load()
            if contents.identity == nil, contents.base.index > 1 { throw .damaged("the identity is missing") }
            guard let why = Self.loss(of: contents, beside: beside, existed: existed) else {
                return StateStart(database: database, contents: contents, lost: nil)
            }
            reason = why
            if contents == StoredContents() { empty = StateStart(database: database, contents: contents, lost: nil) }
        } catch {
            guard let damage = error.damage else { throw error }
            reason = damage
        }
        guard case .found(var file) = beside else {
            throw .unknownNode(reason)
        }
        file.lost = file.lost ?? reason
        guard file.identity.peers.contains(where: { $0.id != file.identity.id }) else {
            throw .nothingToHealFrom(reason)
        }
        try file.write(to: self.nodeFile)
        if var start = empty.take() {
            start.lost = file
            return start
        }
        self.setAside(unixSeconds: time(nil))
        let database = try StateDatabase.open(path: self.database)
        return StateStart(database: database, contents: StoredContents(), lost: file)
    }

    private var databaseExists: Bool {
        var information = stat()
        return stat(self.database, &information) == 0 && information.st_size > 0
    }

    /// Why a database that reads well is not the one that this node had; nil where it is.
    static func loss(of contents: StoredContents, beside: NodeFile.Reading, existed: Bool) -> String? {
        guard case .found(let file) = beside else { return nil }
        if let lost = file.lost, contents.identity.map({ $0.id <= file.identity.id }) ?? true { return lost }
        guard let identity = contents.identity else {
            return existed ? "it knows of no cluster, and this node was in one" : "the file is gone"
        }
        // The database is written first: a crash in between leaves the older file beside it.
        if identity.id > file.identity.id { return nil }
        if identity.id < file.identity.id || identity.incarnation < file.identity.incarnation {
            return
                "it is older than this node: start \(identity.incarnation) of node \(identity.id), where the last one "
                + "was start \(file.identity.incarnation) of node \(file.identity.id)"
        }
        let state = contents.hardState
        if state.term < file.term || (state.term == file.term && state.votedFor == nil && file.votedFor != nil) {
            return "it is older than this node: it knows term \(state.term), where this node was in term \(file.term)"
        }
        return nil
    }

    // MARK: What was damaged

    private func setAside(unixSeconds: Int) {
        let name = "\(self.path)/\(Self.damagedPrefix)\(unixSeconds)"
        for suffix in Self.suffixes { rename(self.database + suffix, name + suffix) }
        let kept = self.damaged
        for old in kept.dropLast(Self.keptDamaged) {
            for suffix in Self.suffixes { unlink("\(self.path)/\(old)\(suffix)") }
        }
    }

    /// The names of the databases that were set aside, the oldest first.
    package var damaged: [String] {
        guard let folder = opendir(self.path) else { return [] }
        defer { closedir(folder) }
        var found: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasPrefix(Self.damagedPrefix), !name.hasSuffix("-wal"), !name.hasSuffix("-shm") else { continue }
            found.append(name)
        }
        return found.sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    }
}

/// What a node starts with.
struct StateStart: ~Copyable {
    var database: StateDatabase
    var contents: StoredContents
    /// The contents were lost: `lost` in it says why.
    var lost: NodeFile?
}
