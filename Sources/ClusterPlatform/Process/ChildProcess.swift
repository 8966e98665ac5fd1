import CLinux
import Glibc

/// How a child ended.
package enum ExitStatus: Equatable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// A child, known by its pidfd: it can be waited for and killed without ever hitting a reused pid.
///
/// With a death signal the child dies with the THREAD that started it: start it from one that lives as long as the process.
package final class ChildProcess {
    package let pid: pid_t
    /// Readable once the child has ended.
    package var pidDescriptor: Int32 { self.pidfd.raw }
    package private(set) var status: ExitStatus?
    private let pidfd: Descriptor

    /// `descriptors`: this process's number to the child's. Everything else but 0-2 is closed in the child.
    package init(
        executable: String, arguments: [String], environment: [String]? = nil,
        descriptors: [(source: Int32, target: Int32)] = [], deathSignal: Int32 = SIGKILL
    ) throws(PlatformError) {
        var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        argv.append(nil)
        var envp: [UnsafeMutablePointer<CChar>?] = (environment ?? Self.inheritedEnvironment()).map { strdup($0) }
        envp.append(nil)
        defer {
            for pointer in argv { free(pointer) }
            for pointer in envp { free(pointer) }
        }
        let mappings = descriptors.map { clinux_descriptor_mapping(source: $0.source, target: $0.target) }
        var pid: pid_t = 0
        var pidfd: Int32 = -1
        let error = clinux_spawn(
            executable, argv, envp, mappings, Int32(mappings.count), deathSignal, &pid, &pidfd)
        guard error == 0 else { throw .system("start \(executable)", error) }
        self.pid = pid
        self.pidfd = Descriptor(owning: pidfd)
    }

    /// A child of this process that another thread, with a descriptor table of its own, has started.
    init(adopting pid: pid_t, pidDescriptor: Int32) {
        self.pid = pid
        self.pidfd = Descriptor(owning: pidDescriptor)
    }

    /// From now on somebody else waits for it and kills it.
    func disown() {
        self.isDisowned = true
    }

    private var isDisowned = false

    deinit {
        // Never leaves a zombie or an orphan: the owner is the child's only reason to run.
        guard self.status == nil, !self.isDisowned else { return }
        self.kill(SIGKILL)
        _ = self.wait(timeout: .seconds(10))
    }

    package func kill(_ signal: Int32) {
        guard self.status == nil else { return }
        _ = clinux_pidfd_send_signal(self.pidfd.raw, signal)
    }

    /// The status once it has ended; nil while it still runs when the time is up.
    package func wait(timeout: Duration) -> ExitStatus? {
        if let status = self.status { return status }
        let deadline = ContinuousClock.now + timeout
        while true {
            var code: Int32 = 0
            var status: Int32 = 0
            if clinux_wait_pidfd(self.pidfd.raw, &code, &status) == 1 {
                self.status = code == 1 ? .exited(status) : .signalled(status)
                return self.status
            }
            guard waitForEvent(self.pidfd.raw, POLLIN, until: deadline) != 0 else { return nil }
        }
    }

    private static func inheritedEnvironment() -> [String] {
        var result: [String] = []
        var entry = Glibc.environ
        while let text = entry.pointee {
            result.append(String(cString: text))
            entry += 1
        }
        return result
    }

    /// Runs a tool to its end; its output is part of the error when it fails.
    package static func run(_ executable: String, _ arguments: [String], timeout: Duration) throws(PlatformError)
        -> String
    {
        var ends: [Int32] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw .system("pipe") }
        let reading = Descriptor(owning: ends[0])
        let writing = Descriptor(owning: ends[1])
        let child = try ChildProcess(
            executable: executable, arguments: arguments,
            descriptors: [(source: writing.raw, target: 1), (source: writing.raw, target: 2)])
        close(writing.release())
        let deadline = ContinuousClock.now + timeout
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while waitForEvent(reading.raw, POLLIN, until: deadline) != 0 {
            let count = read(reading.raw, &buffer, buffer.count)
            guard count > 0 else { break }
            if output.count < maximumToolOutput { output += buffer[..<count] }
        }
        let text = String(decoding: output, as: UTF8.self)
        guard let status = child.wait(timeout: ContinuousClock.now.duration(to: deadline)) else {
            throw PlatformError(.busy, "\(executable) did not end within \(timeout): \(text)")
        }
        guard status == .exited(0) else {
            throw PlatformError(.system(errno: EIO), "\(executable) failed (\(status)): \(text)")
        }
        return text
    }

    /// What is kept of a tool's output; the rest is read and dropped.
    private static let maximumToolOutput = 64 * 1024

    /// Where distributions keep the tools of the administrator.
    package static let toolFolders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"]

    /// `debianPackage`: what brings the tool.
    package static func find(
        _ tool: String, of debianPackage: String, in folders: [String] = ChildProcess.toolFolders
    ) throws(PlatformError) -> String {
        for folder in folders where access("\(folder)/\(tool)", X_OK) == 0 { return "\(folder)/\(tool)" }
        throw PlatformError(
            .notFound, "\(tool) is not installed: apt-get install \(debianPackage), then try again")
    }
}
