/// FILETIME, [MS-DTYP] 2.3.3: units of 100 ns since 1601-01-01 00:00 UTC. Zero means "not set".
package struct FileTime: Hashable, Sendable, Comparable {
    /// Ticks between 1601 and 1970.
    package static let unixEpochTicks: UInt64 = 116_444_736_000_000_000
    package static let ticksPerSecond: UInt64 = 10_000_000
    package static let zero = FileTime(ticks: 0)

    /// [MS-FSCC] 2.4.7, in a FileBasicInformation being set: leave the time as it is.
    package static let unchanged = FileTime(ticks: 0)
    /// [MS-FSCC] 2.4.7: from now on do not update this time through this handle.
    package static let suppressUpdates = FileTime(ticks: UInt64.max)
    /// [MS-FSCC] 2.4.7: update it again.
    package static let resumeUpdates = FileTime(ticks: UInt64.max - 1)

    package var ticks: UInt64

    package init(ticks: UInt64) { self.ticks = ticks }

    /// From a Unix time; times outside what FILETIME can hold are clamped to its ends.
    package init(unixSeconds: Int64, nanoseconds: Int64) {
        let (scaled, overflow) = unixSeconds.multipliedReportingOverflow(by: Int64(Self.ticksPerSecond))
        let (sum, overflow2) = scaled.addingReportingOverflow(Int64(Self.unixEpochTicks) + nanoseconds / 100)
        if overflow || overflow2 {
            self.ticks = unixSeconds < 0 ? 0 : UInt64(Int64.max)
        } else {
            self.ticks = sum < 0 ? 0 : UInt64(sum)
        }
    }

    /// Seconds and nanoseconds since 1970.
    package var unix: (seconds: Int64, nanoseconds: Int64) {
        let ticks = Int64(clamping: self.ticks) - Int64(Self.unixEpochTicks)
        var seconds = ticks / Int64(Self.ticksPerSecond)
        var rest = ticks % Int64(Self.ticksPerSecond)
        if rest < 0 {
            seconds -= 1
            rest += Int64(Self.ticksPerSecond)
        }
        return (seconds, rest * 100)
    }

    package static func < (a: FileTime, b: FileTime) -> Bool { a.ticks < b.ticks }
}
