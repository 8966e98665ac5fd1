import SMB2Wire

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
    /// A reply's first room: a gathered send of 1 MiB, and what goes around it.
    static let writerByteCount = (1 << 20) + (64 << 10)
    /// What is kept for later; the rest goes back to the system.
    private static let windowsKept = 16
    private static let writersKept = 8
    /// Buffers grown for an 8 MiB read are kept only in this number.
    private static let largeWritersKept = 2

    private var windows: [ReceiveWindow] = []
    private var writers: [[UInt8]] = []
    private var largeWriters: [[UInt8]] = []

    mutating func takeWindow() -> ReceiveWindow {
        self.windows.popLast() ?? ReceiveWindow(capacity: Self.windowByteCount)
    }

    mutating func giveBack(_ window: ReceiveWindow) {
        guard window.capacity == Self.windowByteCount, self.windows.count < Self.windowsKept else { return }
        window.start = 0
        window.end = 0
        self.windows.append(window)
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
