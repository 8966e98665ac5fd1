import CLinux
import Glibc
import SMB2Wire

// The extended attributes of a snapshot's file, and its named streams with them.

extension Volume {
    /// All extended attributes for a file that has none yet; large streams as files of their own.
    ///
    /// A stream that moves out of its attribute, or is renamed, between the list and its turn would be in neither
    /// place. So what changes meanwhile is copied again, and where something was gone each time, changes of the share's
    /// streams wait for the last copy. An attribute that leads to no stream (`LargeStreams`) costs the same.
    ///
    /// - Parameter afterListing: called between the list and the copy, but for the last one.
    func copyAttributes(
        from source: Int32, to target: Int32, afterListing: () throws(FileError) -> Void = {}
    ) throws(FileError) {
        var copied: Set<[UInt8]> = []
        var isWhole = false
        var before = try FileStatus(number: source).changeTime
        for _ in 0..<SnapshotLimits.attributeCopies {
            let names = try XAttr.names(source)
            try afterListing()
            isWhole = try self.copyAttributes(names, from: source, to: target, &copied)
            let now = try FileStatus(number: source).changeTime
            if isWhole, now == before { return }
            before = now
        }
        // Whole, and older than its last change: as the data may be.
        if isWhole { return }
        try self.streamChanges.withLock { _ throws(FileError) in
            _ = try self.copyAttributes(try XAttr.names(source), from: source, to: target, &copied)
        }
    }

    /// Those of `names`, in place of what was `copied` before. False where one of them was gone.
    private func copyAttributes(
        _ names: [[UInt8]], from source: Int32, to target: Int32, _ copied: inout Set<[UInt8]>
    ) throws(FileError) -> Bool {
        for name in copied.subtracting(names) {
            if let stream = LargeStreams.name(attribute: name) {
                try self.removeLargeStream(stream, of: target)
            } else {
                try XAttr.remove(target, name)
            }
            copied.remove(name)
        }
        var isWhole = true
        for name in names {
            if let stream = LargeStreams.name(attribute: name) {
                guard try self.copyLargeStream(stream, from: source, to: target) else {
                    isWhole = false
                    continue
                }
            } else {
                guard let value = try XAttr.get(source, name) else {
                    isWhole = false
                    continue
                }
                try XAttr.set(target, name, value)
            }
            copied.insert(name)
        }
        return isWhole
    }
}
