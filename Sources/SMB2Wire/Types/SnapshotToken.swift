/// `@GMT-YYYY.MM.DD-HH.MM.SS`, the name of a previous version: a second in UTC. [MS-SMB2] 2.2.32.2, [MS-SMB] 2.2.1.1.1.
package struct SnapshotToken: Hashable, Comparable, Sendable {
    /// Seconds since 1970, within the years 1970 to 9999.
    package let unixSeconds: Int64

    /// Characters of a token, all of them ASCII.
    package static let length = 24
    private static let prefix: [UInt8] = Array("@GMT-".utf8)
    private static let secondsPerDay: Int64 = 86_400
    private static let lastSecond: Int64 = 253_402_300_799

    /// Nil outside of what four digits of a year can say.
    package init?(unixSeconds: Int64) {
        guard (0...Self.lastSecond).contains(unixSeconds) else { return nil }
        self.unixSeconds = unixSeconds
    }

    /// The second of a time-warp context, [MS-SMB2] 2.2.13.2.7.
    package init?(_ time: FileTime) { self.init(unixSeconds: time.unix.seconds) }

    /// Nil where the text is no token, or names no day or second that there is.
    package init?(_ text: some StringProtocol) { self.init(utf8: Array(text.utf8)) }

    package init?(utf8 bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.length, bytes.starts(with: Self.prefix) else { return nil }
        // Where the digits stand, and what stands between them.
        guard bytes[9] == 0x2E, bytes[12] == 0x2E, bytes[15] == 0x2D, bytes[18] == 0x2E, bytes[21] == 0x2E else {
            return nil
        }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard let year = number(5..<9), let month = number(10..<12), let day = number(13..<15),
            let hour = number(16..<18), let minute = number(19..<21), let second = number(22..<24),
            year >= 1970, (1...12).contains(month), day >= 1, hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Self.days(year, month, day)
        // The thirty-first of a shorter month comes back as another day.
        guard Self.date(days) == (year, month, day) else { return nil }
        self.init(unixSeconds: days * Self.secondsPerDay + hour * 3600 + minute * 60 + second)
    }

    package var text: String {
        let (year, month, day) = Self.date(self.unixSeconds / Self.secondsPerDay)
        let rest = self.unixSeconds % Self.secondsPerDay
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "@GMT-\(padded(year, 4)).\(padded(month, 2)).\(padded(day, 2))"
            + "-\(padded(rest / 3600, 2)).\(padded(rest / 60 % 60, 2)).\(padded(rest % 60, 2))"
    }

    package static func < (left: Self, right: Self) -> Bool { left.unixSeconds < right.unixSeconds }

    /// Days since 1970 in the Gregorian calendar. The year begins in March here, so that the leap day is its last.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // A year is 365.2425 days; the guess is off by one at most.
        var year = (days + 719_468) * 400 / 146_097
        while Self.days(year + 1, 3, 1) <= days { year += 1 }
        while Self.days(year, 3, 1) > days { year -= 1 }
        let dayOfYear = days - Self.days(year, 3, 1)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (month <= 2 ? year + 1 : year, month, day)
    }
}
