/// Whether the machine's watchdog is fed. It is the last fence, for what no reservation and no lease can end: a node that does not
/// decide any more, or that has to let go of the LUN and cannot.
package enum WatchdogRule {
    /// What the device is told; it resets the machine that long after the last time it was fed.
    package static let deviceSeconds: Int64 = 10
    package static let intervalMilliseconds: UInt64 = 500
    /// The loop turns ten times a second. One that stands still is a node that gives nothing up.
    static let loopLimitMilliseconds: UInt64 = 5000
    /// A teardown takes 32 to 250 ms, and waits for nothing but the kernel for longer.
    static let teardownLimitMilliseconds: UInt64 = 5000

    /// Times are milliseconds of one clock that also counts while the machine sleeps. `givingUpSince`: nil when nothing is to be torn down.
    package static func feeds(now: UInt64, lastTurn: UInt64, givingUpSince: UInt64?) -> Bool {
        // Read one after the other without a lock: a mark may be newer than `now`.
        if now > lastTurn, now - lastTurn > Self.loopLimitMilliseconds { return false }
        if let since = givingUpSince, now > since, now - since > Self.teardownLimitMilliseconds { return false }
        return true
    }
}
