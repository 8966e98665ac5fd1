import Fencing
import Testing

@testable import ClusterPlatform

@Suite struct BridgeMessageTests {
    private func configuration() throws -> BridgeConfiguration {
        var configuration = BridgeConfiguration(
            address: try LUNAddress(
                "iscsi://alice%p%25@/w@host:3261,[2001:db8::1]:3262/iqn.2026-11.example:a%2Fb%25/3"),
            initiator: Initiator(name: "iqn.2026-11.example:node", isid: ISID(node: 7, role: .fence)),
            key: FenceKey(node: 7, term: 9), commandTimeout: .milliseconds(1500), silenceLimit: .seconds(3))
        configuration.generation = 4_000_000_000
        configuration.commandAgeLimit = .seconds(45)
        return configuration
    }

    @Test func commandsRoundTrip() throws {
        let commands: [BridgeCommand] = [
            .retake, .fail, .quit, .measure, .patience(nil), .patience(.milliseconds(250)),
            .configure(try self.configuration()),
        ]
        for command in commands { #expect(BridgeCommand(parsing: command.encode()) == command) }
    }

    @Test func eventsRoundTrip() {
        let events: [BridgeEvent] = [
            .ready(byteCount: 1 << 40, blockSize: 512), .unreachable("no route to host"),
            .reconnected(after: .milliseconds(12)),
            .fenced(by: .max), .asksToRetake(unflushed: true), .asksToRetake(unflushed: false), .failing,
            .refused("CHAP"), .alive, .seen(generation: 7), .measured(byteCount: 1 << 41), .path("[2001:db8::1]:3262"),
        ]
        for event in events { #expect(BridgeEvent(parsing: event.encode()) == event) }
    }

    /// A bridge from before there was a limit of commands' age takes nine fields and no more; and says nothing of it.
    @Test func theUsualConfigurationIsWhatItEverWas() throws {
        var configuration = try self.configuration()
        configuration.commandAgeLimit = BridgeConfiguration.usualCommandAgeLimit
        let bytes = BridgeCommand.configure(configuration).encode()
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } == 8)
        #expect(BridgeCommand(parsing: bytes) == .configure(configuration))
    }

    @Test func everyTruncationOfTheConfigurationIsRefused() throws {
        var configuration = try self.configuration()
        configuration.commandAgeLimit = BridgeConfiguration.usualCommandAgeLimit
        let bytes = BridgeCommand.configure(configuration).encode()
        for count in 0..<(bytes.count - 1) { #expect(BridgeCommand(parsing: Array(bytes[..<count])) == nil) }
    }

    @Test(arguments: ["", "x", "patience", "patience -1", "patience x", "configure", "configure a\nb"])
    func nonsense(text: String) {
        #expect(BridgeCommand(parsing: Array(text.utf8)) == nil)
        #expect(BridgeEvent(parsing: Array(text.utf8)) == nil)
    }
}
