import Glibc
import Synchronization
import Testing

@testable import ClusterPlatform

@Suite struct HardwareWatchdogTests {
    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    /// The device looks at the last byte before its close: one more pet after the magic one, and a machine whose node was stopped in
    /// order is reset. (Found by 58-watchdog.sh with the slow programs of the ThreadSanitizer.)
    @Test func nobodyPetsADisarmedOne() async throws {
        var template = Array("/tmp/holdfast-watchdog-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        unlink(template)
        defer { close(file) }
        let path = "/proc/self/fd/\(file)"
        for _ in 0..<50 {
            #expect(ftruncate(file, 0) == 0)
            let watchdog = try HardwareWatchdog(path: path, timeout: .seconds(60))
            let begun = Flag()
            let feeder = Task.detached {
                for _ in 0..<4000 {
                    watchdog.pet()
                    begun.isSet.store(true, ordering: .relaxed)
                }
            }
            while !begun.isSet.load(ordering: .relaxed) { await Task.yield() }
            watchdog.disarm()
            await feeder.value
            var last: UInt8 = 0
            #expect(pread(file, &last, 1, lseek(file, 0, SEEK_END) - 1) == 1)
            #expect(last == UInt8(ascii: "V"))
        }
    }
}
