import CLinux
import Glibc
import SMB2Wire

/// Extended attributes of an open inode (O_PATH will do).
enum XAttr {
    /// Linux's XATTR_SIZE_MAX.
    static let maximumBytes = 65536
    /// Room for a usual one: larger ones are asked for again.
    private static let firstTry = 1024

    /// Nil where there is none.
    static func get(_ descriptor: Int32, _ name: [UInt8]) throws(FileError) -> [UInt8]? {
        var capacity = Self.firstTry
        while true {
            var result = 0
            let value = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                result = withTerminated(name) { clinux_getxattr(descriptor, $0, buffer.baseAddress, capacity) }
                count = max(0, result)
            }
            if failed(result, ENODATA) || failed(result, EOPNOTSUPP) { return nil }
            if failed(result, ERANGE), capacity < self.maximumBytes {
                capacity = self.maximumBytes
                continue
            }
            try check(result, "read an extended attribute")
            return value
        }
    }

    /// Of the value; nil where there is none.
    static func byteCount(_ descriptor: Int32, _ name: [UInt8]) throws(FileError) -> Int? {
        let result = withTerminated(name) { clinux_getxattr(descriptor, $0, nil, 0) }
        if failed(result, ENODATA) || failed(result, EOPNOTSUPP) { return nil }
        try check(result, "read an extended attribute's size")
        return result
    }

    static func set(_ descriptor: Int32, _ name: [UInt8], _ value: [UInt8]) throws(FileError) {
        let result = withTerminated(name) { clinux_setxattr(descriptor, $0, value, value.count, 0) }
        try check(result, "write an extended attribute")
    }

    static func remove(_ descriptor: Int32, _ name: [UInt8]) throws(FileError) {
        let result = withTerminated(name) { clinux_removexattr(descriptor, $0) }
        if failed(result, ENODATA) || failed(result, EOPNOTSUPP) { return }
        try check(result, "remove an extended attribute")
    }

    /// All names, as the kernel lists them.
    static func names(_ descriptor: Int32) throws(FileError) -> [[UInt8]] {
        var capacity = Self.firstTry
        while true {
            var result = 0
            let list = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                result = buffer.withMemoryRebound(to: CChar.self) {
                    clinux_listxattr(descriptor, $0.baseAddress, capacity)
                }
                count = max(0, result)
            }
            if failed(result, EOPNOTSUPP) { return [] }
            if failed(result, ERANGE), capacity < FileStoreLimits.extendedAttributeListBytes {
                capacity = FileStoreLimits.extendedAttributeListBytes
                continue
            }
            try check(result, "list extended attributes")
            return list.split(separator: 0).map(Array.init)
        }
    }
}
