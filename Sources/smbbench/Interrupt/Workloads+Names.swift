import SMB2Wire
import SMBClient

// Names: listings, renames, deletions, and who watches them.

extension Workload {
    static var names: [Workload] {
        [
            Workload("armed notify", Self.armedNotify), Workload("directory listing", Self.listing),
            Workload("rename", Self.rename), Workload("delete on close", Self.deleteOnClose),
            Workload("disposition", Self.disposition),
        ]
    }

    /// Changes while nobody served are made good by STATUS_NOTIFY_ENUM_DIR: the client lists anew.
    private static func armedNotify(_ run: Interruption) throws(ClientError) {
        var directory = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead], disposition: .create, options: .directoryFile))
        let first = try Self.watch(run, directory.fileID)
        try run.holder.connection.waitUntilPending(first)
        try run.breakServer()
        try run.rival.comeBack()
        let missed = run.path("\\missed")
        try run.rival.patiently { () throws(ClientError) in
            let made = try run.rival.connection.create(
                OpenParameters(missed, access: [.genericWrite], disposition: .openIf))
            try run.rival.connection.close(made.fileID)
        }
        try run.holder.comeBack()
        try run.holder.reclaim(&directory)
        run.recovered()
        let second = try Self.watch(run, directory.fileID)
        let told = try run.holder.connection.gather(second)
        try run.require(
            told.header.status == .notifyEnumDir, "the first notification after the takeover said \(told.header.status)"
        )
        let third = try Self.watch(run, directory.fileID)
        try run.holder.connection.waitUntilPending(third)
        let seen = try run.rival.connection.create(
            OpenParameters(run.path("\\seen"), access: [.genericWrite], disposition: .create))
        try run.rival.connection.close(seen.fileID)
        let reply = try run.holder.connection.gather(third, .changeNotify)
        do throws(WireError) {
            let response = try OutputBufferResponse(parsing: reply.span)
            let events = try FileNotifyInformation.parseList(reply.span.extracting(response.buffer))
            guard events.first == FileNotifyInformation(action: .added, name: "seen") else {
                throw WireError.invalidValue("events")
            }
        } catch { throw .violation("the notification after that does not say what was added") }
    }

    private static func watch(_ run: Interruption, _ directory: FileID) throws(ClientError) -> UInt64 {
        try run.holder.connection.post(.changeNotify) {
            ChangeNotifyRequest(fileID: directory, filter: .fileName, watchesTree: false, outputBufferLength: 4096)
                .encode(into: &$0)
        }
    }

    /// A listing that goes on loses no name; one that begins anew shows each once.
    private static func listing(_ run: Interruption) throws(ClientError) {
        let count = 500
        try run.holder.connection.makeDirectory(run.path())
        let names = (0..<count).map { "file-with-a-name-of-some-length-\($0)" }
        for name in names {
            let made = try run.holder.connection.create(
                OpenParameters(run.path("\\\(name)"), access: [.genericWrite], disposition: .create))
            try run.holder.connection.close(made.fileID)
        }
        var directory = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead], options: .directoryFile))
        var seen: Set<String> = []
        for _ in 0..<3 {
            for entry in try run.holder.connection.queryDirectory(directory.fileID, limit: 8192) ?? [] {
                seen.insert(entry.name)
            }
        }
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&directory)
        run.recovered()
        while let entries = try run.holder.connection.queryDirectory(directory.fileID, limit: 8192) {
            for entry in entries { seen.insert(entry.name) }
        }
        try run.require(seen.isSuperset(of: names), "\(Set(names).subtracting(seen).count) names were lost")
        var again: [String] = []
        var flags: QueryDirectoryRequest.Flags = .restartScans
        while let entries = try run.holder.connection.queryDirectory(directory.fileID, flags: flags, limit: 8192) {
            again += entries.map(\.name)
            flags = []
        }
        try run.require(
            again.sorted() == (names + [".", ".."]).sorted(), "begun anew the listing shows \(again.count) names")
    }

    private static func rename(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(run.path("-old"), access: [.genericRead, .genericWrite, .delete], disposition: .create))
        try run.holder.connection.write(file.fileID, at: 0, [1, 2, 3])
        _ = try Self.postRename(run, file.fileID, isReplay: false)
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let id = file.fileID
        try run.holder.patiently { () throws(ClientError) in
            let again = try Self.postRename(run, id, isReplay: true)
            _ = try run.holder.connection.gather(again, .setInfo)
        }
        try run.require(try run.holder.connection.read(id, at: 0, count: 10) == [1, 2, 3], "the contents changed")
        try run.holder.connection.close(id)
        let new = try run.holder.connection.create(OpenParameters(run.path("-new"), access: [.genericRead]))
        try run.require(
            try run.holder.connection.read(new.fileID, at: 0, count: 10) == [1, 2, 3], "another file has the new name")
        let path = run.path("-old")
        let status = try run.refusal("the old name") { () throws(ClientError) in
            _ = try run.holder.connection.create(OpenParameters(path, access: [.genericRead]))
        }
        try run.require(status == .objectNameNotFound, "the old name: \(status)")
    }

    private static func postRename(_ run: Interruption, _ file: FileID, isReplay: Bool) throws(ClientError) -> UInt64 {
        var buffer = WireWriter()
        RenameInformation(replaceIfExists: false).encode(into: &buffer, name: run.path("-new"))
        return try run.holder.connection.postSetInfo(
            file, informationClass: FileInformationClass.rename.rawValue, buffer.bytes, isReplay: isReplay)
    }

    private static func deleteOnClose(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(
                run.path(), access: [.genericRead, .genericWrite, .delete], disposition: .create,
                options: .deleteOnClose))
        try run.holder.connection.write(file.fileID, at: 0, [1])
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let read = try run.holder.connection.read(file.fileID, at: 0, count: 1)
        try run.require(read == [1], "the file was emptied")
        try run.holder.connection.close(file.fileID)
        try Self.requireGone(run)
    }

    private static func disposition(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead, .genericWrite, .delete], disposition: .create))
        _ = try Self.postDisposition(run, file.fileID, isReplay: false)
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let id = file.fileID
        try run.holder.patiently { () throws(ClientError) in
            let again = try Self.postDisposition(run, id, isReplay: true)
            _ = try run.holder.connection.gather(again, .setInfo)
        }
        let path = run.path()
        try run.rival.comeBack()
        let status = try run.refusal("a file that is to be deleted") { () throws(ClientError) in
            _ = try run.rival.connection.create(OpenParameters(path, access: [.genericRead]))
        }
        try run.require(status == .deletePending, "the rival was told \(status)")
        try run.holder.connection.close(id)
        try Self.requireGone(run)
    }

    private static func postDisposition(
        _ run: Interruption, _ file: FileID, isReplay: Bool
    ) throws(ClientError) -> UInt64 {
        try run.holder.connection.postSetInfo(
            file, informationClass: FileInformationClass.disposition.rawValue, [1], isReplay: isReplay)
    }

    private static func requireGone(_ run: Interruption) throws(ClientError) {
        let path = run.path()
        let status = try run.refusal("a file that was deleted") { () throws(ClientError) in
            _ = try run.holder.connection.create(OpenParameters(path, access: [.genericRead]))
        }
        try run.require(status == .objectNameNotFound, "after the close: \(status)")
    }
}
