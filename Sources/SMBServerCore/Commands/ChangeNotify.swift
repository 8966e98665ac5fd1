import SMB2Wire

/// SMB2 CHANGE_NOTIFY. [MS-SMB2] 2.2.35, 2.2.36, 3.3.5.19, 3.3.4.4; [MS-FSA] 2.1.5.11.
extension ServerState {
    mutating func changeNotify(
        _ message: RawSpan, _ request: inout Request, into writer: inout WireWriter
    ) throws(SMBError) -> Outcome {
        let notify = try parsing { () throws(WireError) in try ChangeNotifyRequest(parsing: message) }
        let limit = Int(notify.outputBufferLength)
        guard limit <= self.connections[request.connection]?.maximumTransfer ?? 0 else {
            throw SMBError(.invalidParameter, "output of \(limit) bytes")
        }
        try self.checkCharge(request, payload: limit)
        let key = try self.findOpen(&request, notify.fileID)
        guard let open = self.opens[key], let handle = open.handle, open.isDirectory else {
            throw SMBError(.invalidParameter, "no directory")
        }
        // 3.3.5.19: a server that does not support it.
        guard !open.share.traits.contains(.withoutNotify) else { throw SMBError(.notImplemented, "CHANGE_NOTIFY") }
        guard open.grantedAccess.contains(.listDirectory) else { throw SMBError(.accessDenied) }
        if self.files[open.file]?.isDeletePending == true { throw SMBError(.deletePending) }

        // The first request's filter stays with the open. [MS-FSA] 2.1.5.11.
        if open.notification == nil {
            var notification = ChangeNotification(filter: notify.filter.rawValue, isRecursive: notify.watchesTree)
            guard let watcher = self.watcher else { throw SMBError(.notSupported, "no watcher") }
            notification.watch = try watcher.watch(
                handle, key: key, filter: notify.filter, isRecursive: notify.watchesTree)
            self.opens[key]?.notification = notification
        }
        // It reads the directory anew, once. 3.3.4.4.
        if open.mayHaveMissedChanges {
            self.opens[key]?.notification?.hasOverflown = true
            self.opens[key]?.mayHaveMissedChanges = false
        }
        let pended = try self.pend(request, open: key, kind: .notify(outputLength: limit), into: &writer)
        self.opens[key]?.notification?.waiting.append(pended.id)
        self.answerNotify(key)
        return pended.outcome
    }

    /// Something happened in the watched directory of this open. The shell calls it with what its watcher saw; an overflow
    /// means that events were lost.
    package mutating func directoryChanged(
        _ key: UInt64, _ events: [FileNotifyInformation], isOverflow: Bool
    ) {
        guard self.opens[key]?.notification != nil else { return }
        let kept = self.opens[key]?.notification?.events.count ?? 0
        if isOverflow || events.count > Limits.eventsPerNotify - kept {
            self.opens[key]?.notification?.events.removeAll()
            self.opens[key]?.notification?.hasOverflown = true
        } else if self.opens[key]?.notification?.hasOverflown == false {
            self.opens[key]?.notification?.events.append(contentsOf: events)
        }
        self.answerNotify(key)
    }

    /// The directory is going to go: who waits for changes in it holds it back, and is asked to let it go.
    mutating func tellWatchersOfDeletion(of file: UInt64) {
        guard self.files[file]?.isDirectory == true else { return }
        for key in self.files[file]?.opens ?? [] {
            for id in self.opens[key]?.notification?.waiting ?? [] { self.complete(id, status: .deletePending) }
        }
    }

    /// Gives what has been seen to the oldest request that waits.
    private mutating func answerNotify(_ key: UInt64) {
        guard let notification = self.opens[key]?.notification, let id = notification.waiting.first,
            notification.hasOverflown || !notification.events.isEmpty
        else { return }
        guard case .notify(let limit)? = self.pending[id]?.kind else { return }
        self.opens[key]?.notification?.events = []
        self.opens[key]?.notification?.hasOverflown = false
        var list = WireWriter(capacity: 256)
        let fits =
            !notification.hasOverflown
            && FileNotifyInformation.encode(notification.events, into: &list, limit: limit)
        // The client is told to read the directory anew. 3.3.4.4.
        self.complete(id, status: fits ? .success : .notifyEnumDir) { writer in
            let body = OutputBufferResponse.begin(&writer)
            if fits { writer.append(list.span) }
            OutputBufferResponse.end(&writer, begun: body)
        }
    }
}
