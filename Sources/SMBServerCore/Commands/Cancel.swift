import SMB2Wire

/// SMB2 CANCEL. [MS-SMB2] 2.2.30, 3.3.5.16. Never answered; what it cancels is, with STATUS_CANCELLED.
extension ServerState {
    mutating func cancel(_ header: SMB2Header, _ connection: Connection.ID) {
        if header.isAsync {
            guard let pending = self.pending[header.asyncID], pending.connection == connection, !pending.isOrphaned
            else { return }
            self.complete(header.asyncID, status: .cancelled)
            return
        }
        // Anybody may send this, also before NEGOTIATE: the search is for those who have something to find.
        guard let count = self.connections[connection]?.asyncCount, count > 0 else { return }
        for id in self.pending.keys {
            guard let pending = self.pending[id], pending.connection == connection,
                pending.header.messageID == header.messageID, !pending.isOrphaned
            else { continue }
            self.complete(id, status: .cancelled)
            return
        }
    }
}
