import Glibc

// A client with several channels may have lost one without knowing it: a cable, a switch. What the server says by itself then goes
// over another channel. [MS-SMB2] 3.3.4.6, 3.3.4.7.

extension ClientConnection {
    /// How long the client's TCP may leave everything unacknowledged before the connection counts as lost. Several
    /// retransmissions, and a small part of the time that a client has to answer a break.
    private static let silenceMilliseconds: UInt64 = 2000

    /// So many messages have just left that are to be said over another channel if they cannot arrive here.
    func watchDelivery(of count: Int) {
        guard count > 0 else { return }
        self.delivery = (self.delivery?.since ?? Clock.milliseconds, (self.delivery?.count ?? 0) + count)
        self.loop.deliveryIsWatched = true
    }

    /// Closes the connection when its client's end has been silent for too long. Whether it must be looked at again.
    func checkDelivery() -> Bool {
        guard let (since, count) = self.delivery, let transport = TransportState(self.descriptor) else { return false }
        if transport.isDelivered, self.hasSentAll {
            self.delivery = nil
            self.loop.server.withState(from: self.loop) { $0.delivered(over: self.id, count: count) }
            return false
        }
        guard !transport.isDelivered else { return true }
        guard Clock.milliseconds - since >= Self.silenceMilliseconds,
            transport.silenceMilliseconds >= Self.silenceMilliseconds
        else { return true }
        // With a reset, which goes at once: an orderly end would stand behind what is not acknowledged.
        var reset = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        self.close("its client acknowledges nothing, and has other channels")
        return false
    }
}

/// What the kernel knows of a TCP connection.
private struct TransportState {
    /// All that left was acknowledged by the other end's kernel.
    let isDelivered: Bool
    /// Since the last acknowledgement.
    let silenceMilliseconds: UInt64

    init?(_ descriptor: Int32) {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return nil }
        self.isDelivered = info.tcpi_unacked == 0
        self.silenceMilliseconds = UInt64(info.tcpi_last_ack_recv)
    }
}
