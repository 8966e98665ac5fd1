import SMB2Wire
import SMBServerCore

/// Bytes being received. A connection has one only while data is pending.
final class ReceiveWindow {
    let base: UnsafeMutableRawPointer
    let capacity: Int
    var start = 0
    var end = 0

    init(capacity: Int) {
        self.capacity = capacity
        self.base = .allocate(byteCount: capacity, alignment: 4096)
    }

    deinit { self.base.deallocate() }

    var count: Int { self.end - self.start }
}

/// The buffers of one loop, used again and again by whichever connection has data. Confined to the loop's thread.
struct BufferPool {
    /// One receive reads up to this much, and most frames are smaller.
    static let windowByteCount = 256 << 10
    /// For WRITEs of 1 MiB, which is what most clients send; and for the largest message there is.
    private static let mediumWindowByteCount = (1 << 20) + (64 << 10)
    private static let largeWindowByteCount = Limits.message + DirectTCP.headerByteCount
    /// A reply's first room: a gathered send of 1 MiB, and what goes around it.
    static let writerByteCount = (1 << 20) + (64 << 10)
    /// What is kept for later; the rest goes back to the system.
    private static let windowsKept = 16
    private static let mediumWindowsKept = 8
    private static let largeWindowsKept = 2
    private static let writersKept = 8
    /// Buffers grown for an 8 MiB read are kept only in this number.
    private static let largeWritersKept = 2

    private var windows: [ReceiveWindow] = []
    private var mediumWindows: [ReceiveWindow] = []
    private var largeWindows: [ReceiveWindow] = []
    private var writers: [[UInt8]] = []
    private var largeWriters: [[UInt8]] = []

    /// A window that holds at least this much, which is at most the largest message.
    mutating func takeWindow(holding byteCount: Int = BufferPool.windowByteCount) -> ReceiveWindow {
        if byteCount <= Self.windowByteCount {
            return self.windows.popLast() ?? ReceiveWindow(capacity: Self.windowByteCount)
        }
        if byteCount <= Self.mediumWindowByteCount {
            return self.mediumWindows.popLast() ?? ReceiveWindow(capacity: Self.mediumWindowByteCount)
        }
        return self.largeWindows.popLast() ?? ReceiveWindow(capacity: Self.largeWindowByteCount)
    }

    mutating func giveBack(_ window: ReceiveWindow) {
        window.start = 0
        window.end = 0
        switch window.capacity {
        case Self.windowByteCount where self.windows.count < Self.windowsKept: self.windows.append(window)
        case Self.mediumWindowByteCount where self.mediumWindows.count < Self.mediumWindowsKept:
            self.mediumWindows.append(window)
        case Self.largeWindowByteCount where self.largeWindows.count < Self.largeWindowsKept:
            self.largeWindows.append(window)
        default: break
        }
    }

    mutating func takeWriter() -> WireWriter {
        if let storage = self.writers.popLast() ?? self.largeWriters.popLast() { return WireWriter(reusing: storage) }
        return WireWriter(capacity: Self.writerByteCount)
    }

    mutating func giveBack(_ writer: consuming WireWriter) {
        let storage = writer.takeStorage()
        if storage.count <= 2 * Self.writerByteCount {
            if self.writers.count < Self.writersKept { self.writers.append(storage) }
        } else if self.largeWriters.count < Self.largeWritersKept {
            self.largeWriters.append(storage)
        }
    }
}
