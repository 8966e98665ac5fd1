import StateRecords

// What the records of several opens say alike: the lease that they share, the mark that their file is to be deleted.

extension ServerState {
    /// To be called after ``load(_:)`` with the same records. A step that changed very many of them may be in the log
    /// in part (`Mutation.batches`): one open's record says that the file is to be deleted and another's does not, or
    /// they speak of one lease by different epochs. Nobody was answered by either. What this server has taken for true
    /// all of them say from here on: it must not go with the open that said it.
    package mutating func alignRecords(_ records: [OpenRecord]) {
        guard self.loadFailure == nil else { return }
        for record in records {
            guard let key = self.durableOpens[record.persistentID], let open = self.opens[key],
                let file = self.files[open.file]
            else { continue }
            let holder = open.lease.flatMap { file.oplocks.holder(.lease($0)) }
            let lacksMark = file.isDeletePending && !record.deleteOnClose
            if lacksMark || record.lease != holder.flatMap({ LeaseRecord($0) }) { self.persist(key, awaited: false) }
        }
    }
}
