// What one step of a server changed, cut into the batches of its journal.

extension Mutation {
    /// The batches of one step, at least one. Usually that is all; but a lease, a rename or a deletion changes the
    /// records of all opens of a file, however many there are.
    ///
    /// A node may die with the first batches in the log and not the others. Each is a piece of the step in its order:
    /// what is left is what the step had done at a moment in its course, and what several records say of one file or
    /// one lease is made whole where they are loaded. Of the records of one open a batch keeps only the last.
    package static func batches(
        of mutations: [Mutation], byteLimit: Int = JournalLimits.batchByteCount
    ) -> [[Mutation]] {
        // The usual case is not encoded twice.
        guard mutations.count > 1 else { return [mutations] }
        var batches: [[Mutation]] = []
        var batch: [Mutation] = []
        var byteCount = 0
        // Where the batch has the record of an open, and how long it is.
        var records: [UInt64: (index: Int, byteCount: Int)] = [:]
        for mutation in mutations {
            let length = mutation.encoded.count
            if case .putOpen(let record) = mutation, let earlier = records[record.persistentID],
                byteCount - earlier.byteCount + length <= byteLimit
            {
                batch[earlier.index] = mutation
                byteCount += length - earlier.byteCount
                records[record.persistentID]?.byteCount = length
                continue
            }
            if !batch.isEmpty, length > byteLimit - byteCount {
                batches.append(batch)
                batch = []
                byteCount = 0
                records = [:]
            }
            switch mutation {
            case .putOpen(let record): records[record.persistentID] = (batch.count, length)
            // A record behind it stays behind it.
            case .removeOpen(let id): records[id] = nil
            case .putClient, .removeClient, .reserveIDs, .removeAllClients: break
            }
            batch.append(mutation)
            byteCount += length
        }
        batches.append(batch)
        return batches
    }
}
