import SMB2Wire
import Testing

@Suite struct SnapshotTokenTests {
    @Test(arguments: [
        (Int64(0), "@GMT-1970.01.01-00.00.00"),
        (951_782_400, "@GMT-2000.02.29-00.00.00"),
        (1_146_038_907, "@GMT-2006.04.26-08.08.27"),
        (1_795_548_600, "@GMT-2026.11.24-19.30.00"),
        (4_107_542_399, "@GMT-2100.02.28-23.59.59"),
        (4_107_542_400, "@GMT-2100.03.01-00.00.00"),
        (253_402_300_799, "@GMT-9999.12.31-23.59.59"),
    ])
    func secondsAndText(seconds: Int64, text: String) throws {
        let token = try #require(SnapshotToken(unixSeconds: seconds))
        #expect(token.text == text)
        #expect(SnapshotToken(text) == token)
        #expect(SnapshotToken(FileTime(unixSeconds: seconds, nanoseconds: 999_999_900)) == token)
    }

    /// Every day of four centuries and a bit: the calendar repeats itself after that.
    @Test func everyDay() throws {
        for day in Int64(0)..<146_200 {
            let token = try #require(SnapshotToken(unixSeconds: day * 86_400 + 86_399))
            #expect(SnapshotToken(token.text) == token)
        }
    }

    @Test(arguments: [
        "", "@GMT-", "@GMT-2026.11.24-19.30.0", "@GMT-2026.11.24-19.30.000", "@gmt-2026.11.24-19.30.00",
        "@GMT-2026.13.24-19.30.00", "@GMT-2026.00.24-19.30.00", "@GMT-2026.11.31-19.30.00", "@GMT-2026.11.00-19.30.00",
        "@GMT-2026.02.29-19.30.00", "@GMT-2026.11.24-24.30.00", "@GMT-2026.11.24-19.60.00", "@GMT-2026.11.24-19.30.60",
        "@GMT-1969.12.31-23.59.59", "@GMT-2026-11.24-19.30.00", "@GMT-2026.11.24.19.30.00", "@GMT-20a6.11.24-19.30.00",
        "@GMT-+026.11.24-19.30.00",
    ])
    func whatIsNone(text: String) { #expect(SnapshotToken(text) == nil) }

    @Test func outsideOfFourDigits() {
        #expect(SnapshotToken(unixSeconds: -1) == nil)
        #expect(SnapshotToken(unixSeconds: 253_402_300_800) == nil)
    }
}
