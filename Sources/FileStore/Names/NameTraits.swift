import Glibc
import SMB2Wire
import Synchronization

// What a share's settings make of names: short names, hidden files, no streams.

extension Volume {
    /// The spelling on disk of a name in the open directory, without regard to case; of a short name the long one that
    /// it stands for.
    func spelling(of name: [UInt8], in directory: Int32) throws(FileError) -> [UInt8]? {
        if let spelling = try self.indexes.spelling(of: name, in: directory) { return spelling }
        guard self.options.givesShortNames else { return nil }
        let text = String(decoding: name, as: UTF8.self)
        guard ShortName.mayBeGiven(text) else { return nil }
        let wanted = text.uppercased()
        return try Self.names(in: directory).first { candidate in
            ShortName.given(String(decoding: NameText.shown(candidate), as: UTF16.self)) == wanted
        }
    }

    /// HIDDEN where the share hides files of this name; nothing that is kept.
    func hiding(_ information: consuming FileInformation, named name: [UInt8]) -> FileInformation {
        let patterns = self.options.hiddenFiles
        guard !patterns.isEmpty, !name.isEmpty else { return information }
        let shown = NameText.shown(name)
        if patterns.contains(where: { $0.matches(shown) }) {
            information.attributes = information.attributes.union(.hidden).normalized
        }
        return information
    }

    /// A name that a Windows client could neither open nor delete is not made. It may be opened where it exists: Linux made it. One
    /// whose end Win32 strips can be had by its short name, where the share gives one.
    func checkMakeable(_ path: NTPath) throws(FileError) {
        guard path.isDevice || path.endsAsNoneOfWin32 && !self.options.givesShortNames else { return }
        throw FileError(.objectNameInvalid, "a name that Windows reserves")
    }

    /// A share without streams has files and no more, [MS-FSCC] 2.5.1 FILE_NAMED_STREAMS.
    func checkStream(_ path: NTPath) throws(FileError) {
        guard self.options.refusesStreams, path.stream != nil || path.namesData else { return }
        throw FileError(.objectNameInvalid, "a stream on a share that has none")
    }
}

/// [MS-FSA] 2.1.5.1.1: who deletes a file and makes it anew by its short name, as old programs save, gets the long name
/// back.
final class NameTunnel: Sendable {
    /// As NTFS has it.
    static let seconds: Int64 = 15

    private struct Key: Hashable {
        var directory: UInt64
        var short: String
    }

    private struct State {
        var names: [Key: (long: [UInt8], until: Int64)] = [:]
        var order: [Key] = []
    }

    private let state = Mutex(State())

    private static var now: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec)
    }

    func remember(_ name: [UInt8], in directory: UInt64) {
        let short = ShortName.given(String(decoding: NameText.shown(name), as: UTF16.self))
        let key = Key(directory: directory, short: short)
        self.state.withLock { state in
            if state.names.updateValue((name, Self.now + Self.seconds), forKey: key) == nil { state.order.append(key) }
            guard state.order.count > FileStoreLimits.tunneledNames else { return }
            state.names[state.order.removeFirst()] = nil
        }
    }

    /// The name to make the file by.
    func long(for name: [UInt8], in directory: UInt64) -> [UInt8] {
        let text = String(decoding: name, as: UTF8.self)
        guard ShortName.mayBeGiven(text) else { return name }
        let key = Key(directory: directory, short: text.uppercased())
        return self.state.withLock { state in
            guard let found = state.names[key], found.until >= Self.now else { return name }
            return found.long
        }
    }
}
