import FileStore
import SMB2Wire
import SMBServerCore

/// The rest of a READ that the page cache did not have: a thread fetches it from the disk while the reply waits in its frame.
struct MissingRead: Sendable {
    var file: OpenFile
    /// Of the rest.
    var offset: UInt64
    var length: Int
    /// Bytes that lie behind the reply's fixed part already, and how many there must be in all.
    var done: Int
    var minimum: Int
}

extension ClientConnection {
    /// Of READs that wait for the disk; at it nothing more is read from the client until one has been answered.
    static let missingByteLimit = 16 << 20

    /// Reads behind the reply at `start` what is there without waiting. Returns what is not; nil when the reply is complete.
    ///
    /// - Parameter isAlone: in a compound the next reply follows at once: there the disk is waited for.
    func read(
        _ handle: any FileHandle, offset: UInt64, length: Int, minimum: Int, at start: Int, isAlone: Bool,
        into writer: inout WireWriter
    ) throws(FileError) -> MissingRead? {
        let file = OpenFile.of(handle)
        let data = writer.claimUncleared(length)
        var done = 0
        var isWhole = false
        try writer.withUnsafeMutableBytes(in: data..<data + length) { bytes throws(FileError) in
            guard isAlone else {
                done = try file.read(into: bytes, at: offset)
                isWhole = true
                return
            }
            while done < length {
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
                guard let count = try file.readWithoutWaiting(into: rest, at: offset + UInt64(done)) else { return }
                if count == 0 { break }
                done += count
            }
            isWhole = true
        }
        writer.truncate(to: data + done)
        guard isWhole else {
            return MissingRead(
                file: file, offset: offset + UInt64(done), length: length - done, done: done, minimum: minimum)
        }
        Self.finishRead(at: start, count: done, minimum: minimum, isEmpty: length == 0, into: &writer)
        return nil
    }

    /// [MS-SMB2] 3.3.5.12: too little is STATUS_END_OF_FILE.
    private static func finishRead(
        at start: Int, count: Int, minimum: Int, isEmpty: Bool, into writer: inout WireWriter
    ) {
        guard count >= minimum, count > 0 || isEmpty else {
            return ServerState.replaceReply(at: start, status: .endOfFile, isLast: true, into: &writer)
        }
        writer.store(UInt32(count), at: start + SMB2Header.byteCount + ReadResponse.dataLengthOffset)
    }

    func fetch(_ missing: MissingRead, _ waiter: FrameWaiter) {
        self.missingBytes += missing.length
        let isTaken = waiter.loop.server.reads.submit {
            var failure: FileError?
            let bytes = [UInt8](unsafeUninitializedCapacity: missing.length) { buffer, count in
                do throws(FileError) {
                    count = try missing.file.read(into: UnsafeMutableRawBufferPointer(buffer), at: missing.offset)
                } catch { failure = error }
            }
            if let failure { Log.write("\(failure)") }
            waiter.loop.post(.fetched(waiter, missing, bytes: bytes, failure?.status ?? .success))
        }
        if !isTaken { waiter.loop.post(.fetched(waiter, missing, bytes: [], .insuffServerResources)) }
    }

    /// What a READ waited for has come, or cannot be had.
    func fetched(_ waiter: FrameWaiter, _ missing: MissingRead, bytes: [UInt8], _ status: NTStatus) {
        self.missingBytes -= missing.length
        self.finishTask(waiter) { start, isLast, writer in
            if status.isError {
                return ServerState.replaceReply(at: start, status: status, isLast: isLast, into: &writer)
            }
            writer.append(bytes)
            Self.finishRead(
                at: start, count: missing.done + bytes.count, minimum: missing.minimum, isEmpty: false, into: &writer)
        }
    }
}
