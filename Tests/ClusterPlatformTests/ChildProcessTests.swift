import Glibc
import Testing

@testable import ClusterPlatform

@Suite struct ChildProcessTests {
    @Test func descriptorsAreMappedEvenWhenTheyCross() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let ours = Descriptor(owning: ends[0])
        let theirs = Descriptor(owning: ends[1])
        let null = try Descriptor.open("/dev/null", O_RDWR)
        // The child's 3 is our socket's end, whatever number that has here; its 4 is /dev/null; nothing else is open.
        let child = try ChildProcess(
            executable: "/bin/sh", arguments: ["-c", "echo hello >&3; ls /proc/self/fd | wc -l >&3"],
            descriptors: [(source: null.raw, target: 4), (source: theirs.raw, target: 3)])
        #expect(child.wait(timeout: .seconds(10)) == .exited(0))
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = read(ours.raw, &buffer, buffer.count)
        // 0, 1, 2, 3, 4 and ls's own directory.
        #expect(String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "hello\n6\n")
    }

    /// cluster/laboratory/sanitize sets that variable.
    private static let hasThreadSanitizer = getenv("TSAN_OPTIONS") != nil

    @Test(
        .disabled(
            if: Self.hasThreadSanitizer,
            "it makes vfork a fork: the child has its own copy of what it leaves its parent when exec fails"))
    func anExecutableThatIsNotThere() {
        #expect(throws: PlatformError.self) { try ChildProcess(executable: "/no/such/file", arguments: []) }
    }

    @Test func killAndStatus() throws {
        let child = try ChildProcess(executable: "/bin/sleep", arguments: ["1000"])
        #expect(child.wait(timeout: .milliseconds(20)) == nil)
        child.kill(SIGTERM)
        #expect(child.wait(timeout: .seconds(10)) == .signalled(SIGTERM))
        #expect(child.wait(timeout: .zero) == .signalled(SIGTERM))
        let failing = try ChildProcess(executable: "/bin/sh", arguments: ["-c", "exit 7"])
        #expect(failing.wait(timeout: .seconds(10)) == .exited(7))
    }

    /// What is dropped is killed: no orphan.
    @Test func theOwnerTakesItsChildAlong() throws {
        var pid: pid_t = 0
        do {
            let child = try ChildProcess(executable: "/bin/sleep", arguments: ["1000"])
            pid = child.pid
        }
        #expect(kill(pid, 0) == -1)
    }

    @Test func toolsAndTheirOutput() throws {
        #expect(
            try ChildProcess.run("/bin/sh", ["-c", "echo out; echo err >&2"], timeout: .seconds(10)) == "out\nerr\n")
        do {
            _ = try ChildProcess.run("/bin/sh", ["-c", "echo it broke; exit 3"], timeout: .seconds(10))
            Issue.record("a failing tool must throw")
        } catch {
            #expect(error.message.contains("it broke"))
            #expect(error.message.contains("exit status 3"))
        }
        #expect(throws: PlatformError.self) {
            try ChildProcess.run("/bin/sh", ["-c", "sleep 1000"], timeout: .milliseconds(50))
        }
    }

    @Test func aToolIsFound() throws {
        #expect(try ChildProcess.find("sh", of: "dash", in: ["/nowhere", "/bin"]) == "/bin/sh")
    }

    @Test func aToolThatIsNotThereIsSaidWithThePackageThatBringsIt() {
        let error = #expect(throws: PlatformError.self) {
            try ChildProcess.find("mkfs.xfs", of: "xfsprogs", in: ["/nowhere"])
        }
        #expect(error?.kind == .notFound)
        #expect(error?.message == "mkfs.xfs is not installed: apt-get install xfsprogs, then try again")
    }
}

@Suite struct ServiceNotifierTests {
    @Test func datagrams() throws {
        let path = "/tmp/holdfast-notify-\(getpid())"
        unlink(path)
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(raw >= 0)
        let receiver = Descriptor(owning: raw)
        defer { unlink(path) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(receiver.raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        let notifier = try #require(ServiceNotifier(socket: path))
        notifier.ready(status: "serving")
        notifier.watchdog()
        var buffer = [UInt8](repeating: 0, count: 200)
        var count = recv(receiver.raw, &buffer, buffer.count, 0)
        #expect(String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "READY=1\nSTATUS=serving")
        count = recv(receiver.raw, &buffer, buffer.count, 0)
        #expect(String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "WATCHDOG=1")
        notifier.extendStop(by: .milliseconds(30_500))
        count = recv(receiver.raw, &buffer, buffer.count, 0)
        #expect(String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "EXTEND_TIMEOUT_USEC=30500000")
    }

    @Test func withoutSystemd() {
        #expect(ServiceNotifier(socket: nil) == nil)
        #expect(ServiceNotifier(socket: "") == nil)
        #expect(ServiceNotifier(socket: "relative") == nil)
    }
}
