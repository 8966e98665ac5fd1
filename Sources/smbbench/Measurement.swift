import ArgumentParser
import Glibc
import SMBClient

/// What one run of the load showed.
struct Measurement {
    var seconds: Double
    var byteCount: Int
    var latencies: [UInt32]
    /// Of the CREATEs alone, where there are some.
    var openLatencies: [UInt32]

    static func run(_ loads: [Load], _ work: Work, _ size: Int, queue: Int, seconds: Double) throws -> Measurement {
        for load in loads { try load.prepare(work, size) }
        let start = Instant.now
        let deadline = start.adding(milliseconds: Int(seconds * 1000))
        let threads = try loads.map { load in
            try Thread { load.run(work, size, queue: queue, until: deadline) }
        }
        for thread in threads { thread.join() }
        let elapsed = Double(Instant.now.nanoseconds(since: start)) / 1e9
        for load in loads { if let failure = load.failure { throw failure } }
        let latencies = loads.flatMap(\.latencies).sorted()
        return Measurement(
            seconds: elapsed, byteCount: latencies.count * size, latencies: latencies,
            openLatencies: loads.flatMap(\.openLatencies).sorted())
    }

    /// Microseconds.
    private static func percentile(_ fraction: Double, of sorted: [UInt32]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]) / 1000
    }

    private func percentile(_ fraction: Double) -> Double { Self.percentile(fraction, of: self.latencies) }

    func print(_ work: Work, _ size: Int, cpuSeconds: Double?, json: Bool) {
        let megabytes = Double(self.byteCount) / 1e6 / self.seconds
        let rate = Double(self.latencies.count) / self.seconds
        let perGigabyte = self.byteCount > 0 ? cpuSeconds.map { $0 / (Double(self.byteCount) / 1e9) } : nil
        let perOperation = self.latencies.isEmpty ? nil : cpuSeconds.map { $0 * 1e6 / Double(self.latencies.count) }
        let label = size > 0 ? ByteCount(size).description : "-"
        if json {
            var line =
                "{\"work\": \"\(work.rawValue)\", \"size\": \(size), \"megabytesPerSecond\": \(fixed(megabytes, 2)), "
                + "\"operationsPerSecond\": \(fixed(rate, 1)), \"p50Microseconds\": \(fixed(self.percentile(0.5), 1)), "
                + "\"p99Microseconds\": \(fixed(self.percentile(0.99), 1))"
            if !self.openLatencies.isEmpty {
                line += ", \"openP50Microseconds\": \(fixed(Self.percentile(0.5, of: self.openLatencies), 1))"
                line += ", \"openP99Microseconds\": \(fixed(Self.percentile(0.99, of: self.openLatencies), 1))"
            }
            if let perGigabyte { line += ", \"cpuSecondsPerGigabyte\": \(fixed(perGigabyte, 3))" }
            if let perOperation { line += ", \"cpuMicrosecondsPerOperation\": \(fixed(perOperation, 2))" }
            writeLine(line + "}")
            return
        }
        writeLine(
            padded(work.rawValue, 10, left: true) + " " + padded(label, 5, left: true)
                + padded(size > 0 ? fixed(megabytes, 1) : "-", 9) + padded(fixed(rate, 0), 10)
                + padded(fixed(self.percentile(0.5), 1), 10) + padded(fixed(self.percentile(0.99), 1), 10)
                + padded(perGigabyte.map { fixed($0, 3) } ?? "-", 11)
                + padded(perOperation.map { fixed($0, 2) } ?? "-", 11))
    }
}

/// A number with so many places, without Foundation.
func fixed(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "0" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((value * Double(scale)).rounded())
    guard places > 0 else { return String(scaled) }
    let digits = String(abs(scaled) % scale)
    return (scaled < 0 ? "-" : "") + "\(abs(scaled) / scale)."
        + String(repeating: "0", count: places - digits.count) + digits
}

func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return left ? text + space : space + text
}

/// A POSIX thread that is joined.
final class Thread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private var handle = pthread_t()

    init(_ run: @escaping @Sendable () -> Void) throws {
        let body = Unmanaged.passRetained(Body(run))
        let code = pthread_create(
            &self.handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw ValidationError("no thread: \(String(cString: strerror(code)))")
        }
    }

    func join() { pthread_join(self.handle, nil) }
}

/// CPU time from /proc.
enum ProcessTree {
    /// User and system seconds of a process and of all its descendants that still live. Nil where it is gone.
    static func cpuSeconds(_ root: Int32) -> Double? {
        guard let directory = opendir("/proc") else { return nil }
        defer { closedir(directory) }
        var parents: [Int32: Int32] = [:]
        var ticks: [Int32: Int] = [:]
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = Int32(name), let status = self.status(pid) else { continue }
            parents[pid] = status.parent
            ticks[pid] = status.ticks
        }
        guard ticks[root] != nil else { return nil }
        let sum = ticks.reduce(0) { sum, entry in
            var ancestor = entry.key
            while ancestor != root, let parent = parents[ancestor], parent != ancestor { ancestor = parent }
            return ancestor == root ? sum + entry.value : sum
        }
        return Double(sum) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func status(_ pid: Int32) -> (parent: Int32, ticks: Int)? {
        guard let file = fopen("/proc/\(pid)/stat", "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        // The name in parentheses may hold anything; the fields behind the last one are numbers.
        guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")), end + 2 < count else { return nil }
        let fields = String(decoding: bytes[(end + 2)..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 12, let parent = Int32(fields[1]), let user = Int(fields[11]), let system = Int(fields[12])
        else { return nil }
        return (parent, user + system)
    }
}
