import Glibc

/// What the kernel says of a watched directory: struct inotify_event, inotify(7).
struct InotifyNotice {
    /// The kernel's number of the directory.
    var directory: Int32
    var mask: UInt32
    /// The two halves of a rename have the same.
    var cookie: UInt32
    var name: [UInt8]

    var isDirectory: Bool { self.mask & UInt32(IN_ISDIR) != 0 }
    func says(_ bit: Int32) -> Bool { self.mask & UInt32(bit) != 0 }
    func says(_ bit: UInt32) -> Bool { self.mask & bit != 0 }

    /// What one read gave: whole records.
    static func append(_ bytes: UnsafeRawBufferPointer, to notices: inout [InotifyNotice]) {
        var at = 0
        // wd, mask, cookie, len (4 each), name.
        while bytes.count - at >= 16 {
            let length = Int(bytes.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
            precondition(length <= bytes.count - at - 16, "the kernel's own record")
            notices.append(
                InotifyNotice(
                    directory: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self),
                    mask: bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self),
                    cookie: bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt32.self),
                    name: Array(bytes[(at + 16)..<(at + 16 + length)].prefix { $0 != 0 })))
            at += 16 + length
        }
    }
}

/// The renames of which both halves are among some notices.
struct InotifyRenames {
    private var from: [UInt32: InotifyNotice] = [:]
    private var to: [UInt32: InotifyNotice] = [:]

    init(_ notices: [InotifyNotice]) {
        for notice in notices {
            if notice.says(IN_MOVED_FROM) { self.from[notice.cookie] = notice }
            if notice.says(IN_MOVED_TO) { self.to[notice.cookie] = notice }
        }
    }

    /// Nil for what is no rename, too.
    func otherHalf(of notice: InotifyNotice) -> InotifyNotice? {
        if notice.says(IN_MOVED_FROM) { return self.to[notice.cookie] }
        return notice.says(IN_MOVED_TO) ? self.from[notice.cookie] : nil
    }
}
