import CLinux
import Glibc
import SMB2Wire

/// A file's EAs, [MS-FSCC] 2.4.16, as Linux's `user.*` extended attributes. The names with a meaning of their own (Samba's
/// and ours) are not EAs: they are neither listed nor settable.
enum ExtendedAttributes {
    private static let prefix = Array("user.".utf8)
    private static let reserved = [
        "user.dosattrib", "user.dosstream.", "user.bigstream.", "user.doseas",
        "user.sambapai", "user.smbreparse", "user.dosattrib2",
    ]
    .map { Array($0.utf8) }
    /// [MS-FSCC] 2.4.16: EaNameLength is one byte.
    private static let nameBytes = 254

    static func isExposed(_ name: [UInt8]) -> Bool {
        guard name.starts(with: self.prefix), name.count > self.prefix.count else { return false }
        let lower = self.lowercased(name)
        return !self.reserved.contains { lower.starts(with: $0) }
    }

    static func list(_ descriptor: Int32) throws(FileError) -> [ExtendedAttribute] {
        var all: [ExtendedAttribute] = []
        for name in try XAttr.names(descriptor) where self.isExposed(name) {
            guard let value = try XAttr.get(descriptor, name) else { continue }
            all.append(ExtendedAttribute(name: Array(name.dropFirst(self.prefix.count)), value: value))
        }
        return all
    }

    /// Each is set, or removed where its value is empty. Names are one whatever their case, [MS-FSCC] 2.4.16.
    static func set(_ attributes: [ExtendedAttribute], on descriptor: Int32) throws(FileError) {
        var present = try XAttr.names(descriptor)
        for attribute in attributes {
            let name = self.prefix + attribute.name
            guard !attribute.name.isEmpty, attribute.name.count <= self.nameBytes, !attribute.name.contains(0) else {
                throw FileError(.invalidEaName, "an extended attribute's name")
            }
            guard self.isExposed(name) else { throw FileError(.accessDenied, "an attribute of the server's own") }
            guard attribute.value.count <= FileStoreLimits.extendedAttributeBytes else {
                throw FileError(.eaTooLarge, "an extended attribute too large")
            }
            let lower = self.lowercased(name)
            let spelling = present.first { self.lowercased($0) == lower }
            if attribute.value.isEmpty {
                if let spelling { try XAttr.remove(descriptor, spelling) }
                continue
            }
            do {
                try XAttr.set(descriptor, spelling ?? name, attribute.value)
            } catch let error where [E2BIG, ERANGE].contains(error.code) {
                throw FileError(.eaTooLarge, "an extended attribute too large for the file system")
            }
            if spelling == nil { present.append(name) }
        }
    }

    static func removeAll(_ descriptor: Int32) throws(FileError) {
        for name in try XAttr.names(descriptor) where self.isExposed(name) { try XAttr.remove(descriptor, name) }
    }

    private static func lowercased(_ name: [UInt8]) -> [UInt8] {
        name.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }
    }
}

extension OpenFile {
    /// FileEaInformation, [MS-FSCC] 2.4.12: the bytes of the list, with its own length field where it is not empty.
    package func extendedAttributeByteCount() throws(FileError) -> UInt32 {
        let number = self.handle.number
        return try self.volume.attributeCache.extendedAttributeSize(try FileStatus(self.handle)) {
            () throws(FileError) in
            let list = try ExtendedAttributes.list(number)
            var size = 0
            for attribute in list {
                size += SMB2Wire.ExtendedAttribute(name: attribute.name, value: attribute.value).byteCount
            }
            return UInt32(clamping: list.isEmpty ? 0 : size + 4)
        }
    }

    package func extendedAttributes() throws(FileError) -> [ExtendedAttribute] {
        try ExtendedAttributes.list(self.handle.number)
    }

    package func setExtendedAttributes(_ attributes: [ExtendedAttribute]) throws(FileError) {
        try self.volume.requireWritable()
        guard !self.isReparsePoint else { throw FileError(.easNotSupported, "an extended attribute of a special file") }
        try ExtendedAttributes.set(attributes, on: self.handle.number)
    }
}
