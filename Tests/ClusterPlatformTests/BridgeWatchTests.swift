import Fencing
import Glibc
import Synchronization
import Testing

@testable import ClusterPlatform

/// With FUSE itself, and a script in lunbridge's place: FUSE's descriptor is its 3, the control socket its 4.
@Suite(.enabled(if: geteuid() == 0 && fileExists("/dev/fuse"), "needs root and /dev/fuse")) struct BridgeWatchTests {
    /// Gone with the last reference.
    private final class Scripted {
        let folder: String
        let fuse: FUSEMount
        let bridge: BridgeProcess

        init(_ script: String) throws {
            var template = Array("/tmp/holdfast-bridge-XXXXXX".utf8CString)
            self.folder = String(cString: try #require(mkdtemp(&template)))
            // By a process of its own: who writes a program may not have it open when it is started, not even in a
            // child.
            let program = "\(self.folder)/bridge"
            _ = try ChildProcess.run(
                "/bin/sh",
                ["-c", "printf '%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\"", program, "#!/bin/sh\n\(script)"],
                timeout: .seconds(10))
            self.fuse = try FUSEMount(path: "\(self.folder)/lun", hiding: "\(self.folder)/mount")
            self.bridge = try BridgeProcess(
                executable: program,
                configuration: BridgeConfiguration(
                    address: try LUNAddress("iscsi://127.0.0.1/iqn.2026-11.example:none/1"),
                    initiator: Initiator(name: "iqn.2026-11.example:node", isid: ISID(node: 1, role: .fence)),
                    key: FenceKey(node: 1, term: 1)), fuse: self.fuse)
        }

        deinit {
            self.bridge.kill()
            _ = try? ChildProcess.run("/bin/rm", ["-r", self.folder], timeout: .seconds(10))
        }
    }

    private final class Outcome: Sendable {
        let error = Mutex<PlatformError?>(nil)
    }

    /// Opening the file waits for the bridge in FUSE's own thread, which nobody can ask to end it then. In another
    /// task: without an end it would be the test's.
    private func openingFails(_ script: String, silenceLimit: Duration) async throws {
        let outcome = Outcome()
        Task.detached {
            let scripted = try Scripted(script)
            do throws(PlatformError) {
                try BridgeWatch.during(scripted.bridge, scripted.fuse, silenceLimit: silenceLimit) {
                    () throws(PlatformError) in _ = try scripted.fuse.openFile()
                }
            } catch {
                outcome.error.withLock { $0 = error }
            }
        }
        // Turns, not the clock: what is behind the first sleep may run minutes later, behind all other tests.
        for _ in 0..<3000 where outcome.error.withLock({ $0 }) == nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(outcome.error.withLock { $0?.message.hasPrefix("open ") } == true)
    }

    @Test func aBridgeThatDiesWithARequestEndsTheCallThatWaitsForIt() async throws {
        // It takes one request on, and is gone.
        try await self.openingFails(
            "until dd bs=2M count=1 of=/dev/null <&3 2>/dev/null; do sleep 0.02; done", silenceLimit: .seconds(3600))
    }

    @Test func aBridgeThatHangsIsEndedAndTheCallWithIt() async throws {
        try await self.openingFails("exec sleep 3600", silenceLimit: .milliseconds(200))
    }

    @Test func whatTheBridgeSaysMeanwhileIsHeardAfterwards() throws {
        let scripted = try Scripted("printf 'reconnected 5' >&4; printf 'fenced 7' >&4; exec sleep 3600")
        let bridge = scripted.bridge
        try #require(waitForEvent(bridge.eventDescriptor, POLLIN, until: .now + .seconds(10)) != 0)
        try BridgeWatch.during(bridge, scripted.fuse) { () throws(PlatformError) in
            let deadline = ContinuousClock.now + .seconds(10)
            // The watch alone reads.
            while waitForEvent(bridge.eventDescriptor, POLLIN, until: .now) != 0, ContinuousClock.now < deadline {
                usleep(1000)
            }
        }
        #expect(bridge.hasKept)
        #expect(bridge.waitForEvent(timeout: .seconds(10)) == .reconnected(after: .milliseconds(5)))
        #expect(bridge.waitForEvent(timeout: .seconds(10)) == .fenced(by: 7))
        #expect(!bridge.hasKept)
    }
}
