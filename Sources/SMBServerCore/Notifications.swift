import SMB2Wire

// What the server says by itself to a session with several channels, until it has arrived: the connection that it went over may
// be lost without anybody's knowing. [MS-SMB2] 3.3.4.6, 3.3.4.7.

/// A break notification on its way.
struct Notification: Sendable {
    var session: UInt64
    var message: [UInt8]
    var protection: Protection
    /// The client will acknowledge it, or its time will be over: `Oplocks` remembers it. Nobody else remembers the others.
    var isAcknowledged: Bool
}

extension ServerState {
    mutating func send(_ notification: Notification, over connection: Connection.ID) {
        let canGoElsewhere = self.sessions[notification.session]?.channels.contains { $0 != connection } == true
        if canGoElsewhere {
            var waiting = self.undelivered[connection] ?? []
            if waiting.count >= Limits.undeliveredPerConnection { waiting.removeFirst() }
            waiting.append(notification)
            self.undelivered[connection] = waiting
        }
        self.completions.append(
            Completion(
                connection: connection, message: notification.message, protection: notification.protection,
                isOrdered: true, isAnnouncement: true, needsDelivery: canGoElsewhere))
    }

    /// As many of those that needed it have arrived at the client's end, the oldest first.
    package mutating func delivered(over connection: Connection.ID, count: Int) {
        guard let waiting = self.undelivered[connection] else { return }
        self.undelivered[connection] = count < waiting.count ? Array(waiting.dropFirst(count)) : nil
    }

    /// A connection has ended: says again over another one what may have been lost with it. Breaks that are acknowledged:
    /// `tellAgain`.
    mutating func deliverElsewhere(insteadOf connection: Connection.ID) {
        for notification in self.undelivered.removeValue(forKey: connection) ?? [] where !notification.isAcknowledged {
            guard let heir = self.sessions[notification.session]?.channels.first else { continue }
            self.send(notification, over: heir)
        }
    }
}
