import Fencing
import Raft

/// An iSCSI target with one LUN: sessions, SCSI-3 persistent reservations, a write cache. What has arrived and is not executed
/// yet lands later, unless something drains it.
struct SimulatedTarget {
    /// The key of a node in a term, as `FenceKey`.
    struct Key: Hashable {
        var node: NodeID
        var term: UInt64

        var fence: FenceKey {
            FenceKey(node: UInt16(truncatingIfNeeded: self.node), term: UInt32(truncatingIfNeeded: self.term))
        }
    }

    /// An initiator port, as the target knows it: name and ISID. Who takes the fence and the bridge after it are the same one.
    struct Nexus: Hashable {
        var node: NodeID
    }

    /// What PERSISTENT RESERVE IN says.
    struct Reservations: Equatable {
        var generation: UInt64
        var keys: [Key]
        var holder: Key?

        /// As a node reads it.
        var fence: FenceState {
            FenceState(
                generation: UInt32(truncatingIfNeeded: self.generation), keys: self.keys.map(\.fence.raw),
                reservation: self.holder.map { Reservation(key: $0.fence.raw, type: Reservation.exclusive) })
        }
    }

    enum Command: Equatable {
        case login
        case inspect
        case register(Key)
        case reserve
        case preempt(Key)
        case reset
        case clear
        case write(block: Int, value: UInt64)
        case flush
    }

    enum Reply: Equatable {
        case good
        case conflict
        case reservations(Reservations)
        /// Drained before it was executed.
        case aborted
    }

    /// A command on its way, and who waits for the answer.
    struct Packet {
        var nexus: Nexus
        /// Whose cables it goes over.
        var machine: Int
        var session: UInt64
        var incarnation: UInt64
        /// 0: the storage thread.
        var bridge: UInt64
        var request: UInt64
        /// In whose name the initiator acts: for the checker, the target knows nothing of it.
        var key: Key
        var command: Command
    }

    /// What the two targets that were tried do differently.
    enum Kind {
        /// tgt: forgets a registration when its nexus logs in again, and everything when it restarts; a preempt drains nothing.
        case forgetful
        /// LIO with APTPL.
        case persistent
    }

    private struct Registration {
        var id: UInt64
        /// nil: a ghost.
        var nexus: Nexus?
        var key: Key
    }

    let kind: Kind
    private(set) var isUp = true
    private(set) var restarts = 0
    private var registrations: [Registration] = []
    /// The registration that holds it, type 5: Write Exclusive, Registrants Only.
    private var reservation: UInt64?
    private var generation: UInt64 = 0
    private var nextID: UInt64 = 1
    private var sessions: [Nexus: UInt64] = [:]
    /// Arrived, not executed.
    private(set) var executing: [UInt64: Packet] = [:]
    private(set) var cached: [UInt64]
    private(set) var durable: [UInt64]

    init(kind: Kind, blocks: Int) {
        self.kind = kind
        self.cached = Array(repeating: 0, count: blocks)
        self.durable = self.cached
    }

    var holder: Key? { self.registrations.first { $0.id == self.reservation }?.key }

    private func registration(of nexus: Nexus) -> Int? { self.registrations.firstIndex { $0.nexus == nexus } }

    func isRegistered(_ nexus: Nexus) -> Bool { self.registration(of: nexus) != nil }

    enum Arrival: Equatable {
        /// The session is over, or nobody is there.
        case dropped
        case answered(Reply)
        /// A write: `finish` executes it under this number.
        case executing(UInt64)
    }

    /// A command arrives. `drained` are the writes that will not be executed any more.
    mutating func arrive(_ packet: Packet, drained: inout [Packet]) -> Arrival {
        guard self.isUp else { return .dropped }
        if packet.command == .login {
            self.sessions[packet.nexus] = packet.session
            if self.kind == .forgetful, let index = self.registration(of: packet.nexus) {
                self.registrations[index].nexus = nil
            }
            return .answered(.good)
        }
        guard self.sessions[packet.nexus] == packet.session else { return .dropped }
        let own = self.registration(of: packet.nexus)
        switch packet.command {
        case .login, .inspect:
            return .answered(
                .reservations(
                    Reservations(
                        generation: self.generation, keys: self.registrations.map(\.key), holder: self.holder)))
        case .register(let key):
            self.generation += 1
            if let own {
                self.registrations[own].key = key
            } else {
                self.registrations.append(Registration(id: self.newID(), nexus: packet.nexus, key: key))
            }
            return .answered(.good)
        case .reserve:
            guard let own else { return .answered(.conflict) }
            let id = self.registrations[own].id
            guard self.reservation == nil || self.reservation == id else { return .answered(.conflict) }
            self.reservation = id
            return .answered(.good)
        case .preempt(let victim):
            guard let own else { return .answered(.conflict) }
            let id = self.registrations[own].id
            let victims = self.registrations.filter { $0.key == victim && $0.id != id }
            guard !victims.isEmpty else { return .answered(.conflict) }
            self.generation += 1
            self.registrations.removeAll { $0.key == victim && $0.id != id }
            if let reservation = self.reservation, victims.contains(where: { $0.id == reservation }) {
                self.reservation = id
            }
            if self.kind == .persistent {
                let gone = Set(victims.compactMap(\.nexus))
                self.drain(&drained) { gone.contains($0.nexus) }
            }
            return .answered(.good)
        case .reset:
            self.drain(&drained) { _ in true }
            return .answered(.good)
        case .clear:
            guard own != nil else { return .answered(.conflict) }
            self.generation += 1
            self.registrations = []
            self.reservation = nil
            return .answered(.good)
        case .write, .flush:
            guard self.reservation == nil || own != nil else { return .answered(.conflict) }
            guard case .write = packet.command else {
                self.durable = self.cached
                return .answered(.good)
            }
            let id = self.newID()
            self.executing[id] = packet
            return .executing(id)
        }
    }

    /// The write lands. nil: it was drained.
    mutating func finish(_ id: UInt64) -> Packet? {
        guard let packet = self.executing.removeValue(forKey: id) else { return nil }
        if case .write(let block, let value) = packet.command { self.cached[block] = value }
        return packet
    }

    mutating func goDown() {
        self.isUp = false
        self.restarts += 1
        self.sessions = [:]
        self.executing = [:]
        self.cached = self.durable
        guard self.kind == .forgetful else {
            // SPC-4 6.15.2: zero after a power on, whatever APTPL says. LIO counts what it is given back (measured).
            self.generation = UInt64(self.registrations.count)
            return
        }
        self.generation = 0
        self.registrations = []
        self.reservation = nil
    }

    mutating func comeUp() { self.isUp = true }

    private mutating func drain(_ drained: inout [Packet], _ isGone: (Packet) -> Bool) {
        for id in self.executing.keys.sorted() {
            guard let packet = self.executing[id], isGone(packet) else { continue }
            self.executing[id] = nil
            drained.append(packet)
        }
    }

    private mutating func newID() -> UInt64 {
        defer { self.nextID += 1 }
        return self.nextID
    }
}
