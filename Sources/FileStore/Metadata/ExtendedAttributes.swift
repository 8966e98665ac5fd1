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

    private static func exposedNames(_ descriptor: Int32) throws(FileError) -> [[UInt8]] {
        try XAttr.names(descriptor).filter { self.isExposed($0) }
    }

    /// Those of these names, in that order and with an empty value where there is none; nil: all that there are. The last
    /// is the first whose entry in a list of FILE_FULL_EA_INFORMATION ends beyond `limit` bytes: no more is read than can
    /// be told.
    static func list(
        _ descriptor: Int32, named wanted: [[UInt8]]?, limit: Int
    ) throws(FileError) -> [ExtendedAttribute] {
        let present = try self.exposedNames(descriptor)
        let asked: [(name: [UInt8], spelling: [UInt8]?)]
        if let wanted {
            let spellings = self.spellings(present)
            asked = wanted.map { ($0, spellings[self.lowercased(self.prefix + $0)]) }
        } else {
            asked = present.map { (Array($0.dropFirst(self.prefix.count)), $0) }
        }
        var all: [ExtendedAttribute] = []
        var byteCount = 0
        for (name, spelling) in asked where byteCount <= limit {
            var value: [UInt8]?
            if let spelling { value = try XAttr.get(descriptor, spelling) }
            // One that went meanwhile is answered only where it was asked for.
            guard let value = value ?? (wanted == nil ? nil : []) else { continue }
            let entry = SMB2Wire.ExtendedAttribute(name: name, value: value)
            // A Linux attribute may be one byte too long to be told.
            guard entry.isRepresentable else { continue }
            all.append(ExtendedAttribute(name: name, value: value))
            byteCount += entry.byteCount
        }
        return all
    }

    /// All of one file's onto another that has none, one at a time in memory.
    static func copyAll(from source: Int32, to target: Int32) throws(FileError) {
        for name in try self.exposedNames(source) {
            guard let value = try XAttr.get(source, name) else { continue }
            try self.write(value, as: name, on: target)
        }
    }

    private static func write(_ value: [UInt8], as name: [UInt8], on descriptor: Int32) throws(FileError) {
        do {
            try XAttr.set(descriptor, name, value)
        } catch let error where [E2BIG, ERANGE].contains(error.code) {
            throw FileError(.eaTooLarge, "an extended attribute too large for the file system")
        }
    }

    /// By the names without their case. Of several that differ in it only, the first is meant.
    private static func spellings(_ names: [[UInt8]]) -> [[UInt8]: [UInt8]] {
        Dictionary(names.map { (self.lowercased($0), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Each is set, or removed where its value is empty. Names are one whatever their case, [MS-FSCC] 2.4.16.
    static func set(_ attributes: [ExtendedAttribute], on descriptor: Int32) throws(FileError) {
        var present = self.spellings(try XAttr.names(descriptor))
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
            let spelling = present[lower]
            if attribute.value.isEmpty {
                if let spelling { try XAttr.remove(descriptor, spelling) }
                continue
            }
            try self.write(attribute.value, as: spelling ?? name, on: descriptor)
            if spelling == nil { present[lower] = name }
        }
    }

    /// The bytes of the list, with its own length field where it is not empty. No value is read for it.
    static func listByteCount(_ descriptor: Int32) throws(FileError) -> Int {
        var byteCount = 0
        for name in try self.exposedNames(descriptor) {
            guard let value = try XAttr.byteCount(descriptor, name) else { continue }
            let entry = SMB2Wire.ExtendedAttribute(name: Array(name.dropFirst(self.prefix.count)), value: [])
            byteCount += entry.byteCount + value
        }
        return byteCount == 0 ? 0 : byteCount + 4
    }

    static func removeAll(_ descriptor: Int32) throws(FileError) {
        for name in try self.exposedNames(descriptor) { try XAttr.remove(descriptor, name) }
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
            () throws(FileError) in UInt32(clamping: try ExtendedAttributes.listByteCount(number))
        }
    }

    /// Those of these names, each answered, or all (nil), until one ends beyond `limit` bytes of their list.
    package func extendedAttributes(
        named names: [[UInt8]]? = nil, limit: Int = .max
    ) throws(FileError) -> [ExtendedAttribute] {
        try ExtendedAttributes.list(self.handle.number, named: names, limit: limit)
    }

    package func setExtendedAttributes(_ attributes: [ExtendedAttribute]) throws(FileError) {
        try self.volume.requireWritable()
        guard !self.isReparsePoint else { throw FileError(.easNotSupported, "an extended attribute of a special file") }
        try ExtendedAttributes.set(attributes, on: self.handle.number)
    }
}
