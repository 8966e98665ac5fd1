import Fencing

/// A registration as READ FULL STATUS has it.
package struct Registration: Equatable, Sendable {
    package var key: UInt64
    package var isHolder: Bool
    /// The relative identifier of the target's port: a portal group has one of its own.
    package var targetPort: UInt16

    package init(key: UInt64, isHolder: Bool, targetPort: UInt16) {
        self.key = key
        self.isHolder = isHolder
        self.targetPort = targetPort
    }
}

/// SCSI-3 persistent reservations, SPC-4 5.9, 6.15, 6.16: thin calls, no policy (that is `FencePlan`).
extension ISCSISession {
    /// A LUN that a cluster of two nodes shares has a handful of registrations; this many fit into an answer.
    static let maximumKeys = 500

    /// The registered keys, one per nexus, so the same key may be there several times; and the generation, which counts the
    /// changes since the target started.
    package func readKeys() throws(PlatformError) -> (generation: UInt32, keys: [UInt64]) {
        let data = try self.command(
            .persistentReserveIn(.keys, byteCount: UInt16(8 + Self.maximumKeys * 8)), "PERSISTENT RESERVE IN: READ KEYS"
        )
        guard let keys = Self.parseKeys(data) else { throw self.malformed("READ KEYS") }
        return keys
    }

    package func readReservation() throws(PlatformError) -> Reservation? {
        let data = try self.command(
            .persistentReserveIn(.reservation, byteCount: 24), "PERSISTENT RESERVE IN: READ RESERVATION")
        guard let reservation = Self.parseReservation(data) else { throw self.malformed("READ RESERVATION") }
        return reservation
    }

    /// SPC-4 6.15.5: one entry a registration, each of one nexus. Nil where the target does not know the question.
    package func readFullStatus() throws(PlatformError) -> [Registration]? {
        let count = UInt16(8 + Self.maximumKeys * 64)
        let reply = try self.exchange(.persistentReserveIn(.fullStatus, byteCount: count))
        guard reply.status == 0 else { return nil }
        guard let registrations = Self.parseFullStatus(reply.data) else { throw self.malformed("READ FULL STATUS") }
        return registrations
    }

    /// Nil when it is malformed or there are more registrations than were asked for.
    static func parseFullStatus(_ data: [UInt8]) -> [Registration]? {
        guard let length = loadBigEndian(UInt32.self, data, at: 4), Int(length) <= data.count - 8 else { return nil }
        let end = 8 + Int(length)
        var registrations: [Registration] = []
        var offset = 8
        while offset < end {
            guard end - offset >= 24, let key = loadBigEndian(UInt64.self, data, at: offset),
                let port = loadBigEndian(UInt16.self, data, at: offset + 18),
                let more = loadBigEndian(UInt32.self, data, at: offset + 20), Int(more) <= end - offset - 24
            else { return nil }
            registrations.append(Registration(key: key, isHolder: data[offset + 12] & 1 != 0, targetPort: port))
            offset += 24 + Int(more)
        }
        return registrations
    }

    /// SPC-4 6.15.4. A target that does not know the question knows no persistence either.
    package func readCapabilities() throws(PlatformError) -> (persists: Bool, isActive: Bool) {
        let reply = try self.exchange(.persistentReserveIn(.capabilities, byteCount: 8))
        guard reply.status == 0, let capabilities = Self.parseCapabilities(reply.data) else { return (false, false) }
        return capabilities
    }

    /// PTPL_C and PTPL_A. Nil when it is malformed.
    static func parseCapabilities(_ data: [UInt8]) -> (persists: Bool, isActive: Bool)? {
        guard data.count >= 8, loadBigEndian(UInt16.self, data, at: 0) == 8 else { return nil }
        return (data[2] & 0x01 != 0, data[3] & 0x01 != 0)
    }

    /// SPC-4 6.15.2. Nil when it is malformed or there are more keys than were asked for.
    static func parseKeys(_ data: [UInt8]) -> (generation: UInt32, keys: [UInt64])? {
        guard let generation = loadBigEndian(UInt32.self, data, at: 0),
            let length = loadBigEndian(UInt32.self, data, at: 4), length % 8 == 0, Int(length) <= data.count - 8
        else { return nil }
        var keys: [UInt64] = []
        for offset in stride(from: 8, to: 8 + Int(length), by: 8) {
            guard let key = loadBigEndian(UInt64.self, data, at: offset) else { return nil }
            keys.append(key)
        }
        return (generation, keys)
    }

    /// SPC-4 6.15.3. The outer nil: malformed; the inner: no reservation.
    static func parseReservation(_ data: [UInt8]) -> Reservation?? {
        guard let length = loadBigEndian(UInt32.self, data, at: 4) else { return .none }
        if length == 0 { return .some(nil) }
        guard length >= 16, data.count >= 24, let key = loadBigEndian(UInt64.self, data, at: 8) else { return .none }
        return .some(Reservation(key: key, type: data[21] & 0x0F))
    }

    /// Replaces this nexus's key, which must be `old`; a new key of 0 unregisters. With APTPL where the target has it: the
    /// newest registration says whether everything is kept, so one without would undo that of all others.
    package func register(_ new: UInt64, replacing old: UInt64) throws(PlatformError) {
        try self.reserveOut(
            .register, "REGISTER", key: old, serviceActionKey: new, persists: try self.persists())
    }

    package func registerAndIgnoreExistingKey(_ key: UInt64) throws(PlatformError) {
        try self.reserveOut(
            .registerAndIgnoreExistingKey, "REGISTER AND IGNORE EXISTING KEY", key: 0, serviceActionKey: key,
            persists: try self.persists())
    }

    /// Asked once a session.
    package func persists() throws(PlatformError) -> Bool {
        if let known = self.persistsReservations { return known }
        let persists = try self.readCapabilities().persists
        self.persistsReservations = persists
        return persists
    }

    package func reserve(_ key: UInt64) throws(PlatformError) {
        try self.reserveOut(.reserve, "RESERVE", key: key, serviceActionKey: 0)
    }

    package func release(_ key: UInt64) throws(PlatformError) {
        try self.reserveOut(.release, "RELEASE", key: key, serviceActionKey: 0)
    }

    /// Removes every registration and the reservation.
    package func clear(_ key: UInt64) throws(PlatformError) {
        try self.reserveOut(.clear, "CLEAR", key: key, serviceActionKey: 0)
    }

    package func preempt(_ victim: UInt64, as key: UInt64) throws(PlatformError) {
        try self.reserveOut(.preempt, "PREEMPT", key: key, serviceActionKey: victim)
    }

    package func preemptAndAbort(_ victim: UInt64, as key: UInt64) throws(PlatformError) {
        try self.reserveOut(.preemptAndAbort, "PREEMPT AND ABORT", key: key, serviceActionKey: victim)
    }

    private func reserveOut(
        _ action: SCSICommand.ReservationAction, _ name: String, key: UInt64, serviceActionKey: UInt64,
        persists: Bool = false
    ) throws(PlatformError) {
        try self.command(
            .persistentReserveOut(action), "PERSISTENT RESERVE OUT: \(name)",
            output: SCSICommand.reservationParameters(key: key, serviceActionKey: serviceActionKey, persists: persists))
    }
}
