import CLinux
import Glibc

/// clusterd's end of a lunbridge: starts it, tells it what to do, hears what it says.
package final class BridgeProcess {
    private let child: ChildProcess
    private let control: Descriptor
    private var hasEnded = false
    /// What a `BridgeWatch` heard, before anything that the socket still has.
    private var heard: [BridgeEvent] = []

    /// How long it may leave a ping unanswered. More than all that it waits for a silent target in one go: connection,
    /// login and the look at the reservation, 2 s each.
    package static let silenceLimit: Duration = .seconds(12)

    /// lunbridge's descriptor numbers; they are its arguments too, so that `ps` explains itself.
    static let fuseNumber: Int32 = 3
    static let controlNumber: Int32 = 4

    static let arguments = ["--fuse-descriptor", "\(fuseNumber)", "--control-descriptor", "\(controlNumber)"]

    package init(executable: String, configuration: BridgeConfiguration, fuse: FUSEMount) throws(PlatformError) {
        var ends: [Int32] = [-1, -1]
        guard clinux_socketpair_seqpacket(&ends) == 0 else { throw .system("socketpair") }
        let ours = Descriptor(owning: ends[0])
        let theirs = Descriptor(owning: ends[1])
        self.child = try fuse.startBridge(executable, control: theirs.raw)
        self.control = ours
        self.tell(.configure(configuration))
    }

    package var pid: pid_t { self.child.pid }
    /// Readable once the process has ended.
    var pidDescriptor: Int32 { self.child.pidDescriptor }

    /// Readable when there is an event; also when the bridge ended.
    package var eventDescriptor: Int32 { self.control.raw }

    package func tell(_ command: BridgeCommand) { Self.tell(command, on: self.control.raw) }

    static func tell(_ command: BridgeCommand, on control: Int32) {
        let packet = command.encode()
        // A bridge that is gone is told by its exit event.
        _ = Glibc.send(control, packet, packet.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    enum Received {
        case packet([UInt8])
        /// There is none just now.
        case nothing
        /// Nor will there be one.
        case ended
    }

    static func receive(_ control: Int32) -> Received {
        var packet = [UInt8](repeating: 0, count: BridgeCommand.maximumSize)
        while true {
            let count = recv(control, &packet, packet.count, Int32(MSG_DONTWAIT))
            if count > 0 { return .packet(Array(packet[..<count])) }
            if count < 0, errno == EINTR { continue }
            return count < 0 && errno == EAGAIN ? .nothing : .ended
        }
    }

    func keep(_ heard: [BridgeEvent]) { self.heard += heard }

    /// There are events that the descriptor does not tell of.
    package var hasKept: Bool { !self.heard.isEmpty }

    /// The next event that is there; nil when there is none. `.exited` is the last and comes once.
    package func nextEvent() -> BridgeEvent? {
        guard self.heard.isEmpty else { return self.heard.removeFirst() }
        guard !self.hasEnded else { return nil }
        while true {
            switch Self.receive(self.control.raw) {
            case .nothing: return nil
            case .packet(let packet): if let event = BridgeEvent(parsing: packet) { return event }
            case .ended:
                // The socket closes a moment before the process can be waited for.
                guard let status = self.child.wait(timeout: .seconds(1)) else {
                    self.child.kill(SIGKILL)
                    continue
                }
                self.hasEnded = true
                return .exited(status)
            }
        }
    }

    /// Waits for an event; nil when the time is up.
    package func waitForEvent(timeout: Duration) -> BridgeEvent? {
        let deadline = ContinuousClock.now + timeout
        while true {
            if let event = self.nextEvent() { return event }
            guard !self.hasEnded, ClusterPlatform.waitForEvent(self.eventDescriptor, POLLIN, until: deadline) != 0
            else {
                return nil
            }
        }
    }

    package func kill() {
        self.child.kill(SIGKILL)
    }

    package func wait(timeout: Duration) -> ExitStatus? { self.child.wait(timeout: timeout) }
}
