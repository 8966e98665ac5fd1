import SMB2Wire
import SMBClient

// Bytes: each that was acknowledged is there, each that was repeated is there once.

extension Workload {
    static var data: [Workload] {
        [
            Workload("write stream", Self.writeStream), Workload("half-written compound", Self.halfCompound),
            Workload("COPYCHUNK", Self.copyChunk), Workload("named stream", Self.namedStream),
            Workload("end of file", Self.endOfFile),
        ]
    }

    /// A megabyte that differs from every other.
    private static func block(_ number: Int, count: Int = 1 << 20) -> [UInt8] {
        var state = UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15 | 1
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            withUnsafeBytes(of: state) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    private static func writeStream(_ run: Interruption) throws(ClientError) {
        let size = 65_536
        var file = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead, .genericWrite], disposition: .create))
        for index in 0..<16 {
            try run.holder.connection.write(file.fileID, at: UInt64(index * size), Self.block(index, count: size))
        }
        // These have not been answered when the server goes.
        for index in 16..<64 {
            _ = try run.holder.connection.postWrite(
                file.fileID, at: UInt64(index * size), Self.block(index, count: size))
        }
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let id = file.fileID
        for index in 16..<64 {
            try run.holder.patiently { () throws(ClientError) in
                let again = try run.holder.connection.postWrite(
                    id, at: UInt64(index * size), Self.block(index, count: size), isReplay: true)
                _ = try run.holder.connection.gather(again, .write)
            }
        }
        let all = try run.holder.connection.readAll(id)
        try run.require(all.count == 64 * size, "\(all.count) bytes")
        for index in 0..<64 {
            try run.require(
                Array(all[index * size..<(index + 1) * size]) == Self.block(index, count: size),
                "block \(index) is not what was written")
        }
    }

    /// Of CREATE, WRITE and CLOSE in one frame only half has left.
    private static func halfCompound(_ run: Interruption) throws(ClientError) {
        let data = Self.block(3, count: 40_000)
        try Self.postCompound(run, data)
        let frame = run.holder.connection.takeQueued()
        try run.holder.connection.sendUnframed(Array(frame[..<(frame.count / 2)]))
        try run.breakServer()
        try run.holder.comeBack()
        run.recovered()
        let path = run.path()
        let status = try run.refusal("the file of half a compound") { () throws(ClientError) in
            _ = try run.holder.connection.create(OpenParameters(path, access: [.genericRead]))
        }
        try run.require(status == .objectNameNotFound, "half a compound made a file: \(status)")
        for id in try Self.postCompound(run, data) {
            let reply = try run.holder.connection.gather(id)
            try run.require(reply.header.status == .success, "\(reply.header.commandCode): \(reply.header.status)")
        }
        let file = try run.holder.connection.create(OpenParameters(path, access: [.genericRead]))
        try run.require(try run.holder.connection.readAll(file.fileID) == data, "not what was written")
    }

    @discardableResult
    private static func postCompound(_ run: Interruption, _ data: [UInt8]) throws(ClientError) -> [UInt64] {
        let create = CreateRequest(desiredAccess: [.genericWrite], shareAccess: .all, disposition: .create)
        let path = run.path()
        return try run.holder.connection.postCompound([
            .init(.create) { create.encode(into: &$0, name: path) },
            .init(.write, payloadByteCount: data.count) {
                WriteRequest(fileID: .related, offset: 0).encode(into: &$0, data: data.span.bytes)
            },
            .init(.close) { CloseRequest(fileID: .related).encode(into: &$0) },
        ])
    }

    private static func copyChunk(_ run: Interruption) throws(ClientError) {
        let megabytes = 16
        var source = try run.holder.open(
            OpenParameters(run.path("-source"), access: [.genericRead, .genericWrite], disposition: .create))
        for index in 0..<megabytes {
            try run.holder.connection.write(source.fileID, at: UInt64(index << 20), Self.block(index))
        }
        var target = try run.holder.open(
            OpenParameters(run.path("-target"), access: [.genericRead, .genericWrite], disposition: .create))
        _ = try Self.postCopy(run, source.fileID, target.fileID, megabytes)
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&source)
        try run.holder.reclaim(&target)
        run.recovered()
        // Resume keys do not outlive the server; the client asks for another.
        let id = try Self.postCopy(run, source.fileID, target.fileID, megabytes)
        let reply = try run.holder.connection.gather(id, .ioctl)
        do throws(WireError) {
            let output = try IoctlResponse(parsing: reply.span).output
            let done = try CopyChunkResponse(parsing: reply.span.extracting(output))
            guard done.totalBytesWritten == UInt32(megabytes << 20) else { throw WireError.invalidValue("total") }
        } catch { throw .violation("the copy did not end with all bytes") }
        for index in 0..<megabytes {
            try run.require(
                try run.holder.connection.read(target.fileID, at: UInt64(index << 20), count: 1 << 20)
                    == Self.block(index),
                "megabyte \(index) of the copy differs")
        }
    }

    private static func postCopy(
        _ run: Interruption, _ source: FileID, _ target: FileID, _ megabytes: Int
    ) throws(ClientError) -> UInt64 {
        let answer = try run.holder.connection.ioctl(.srvRequestResumeKey, source, limit: 64)
        let key: ResumeKey
        do throws(WireError) { key = try ResumeKey(parsing: answer.span.bytes) } catch { throw .wire(error) }
        let chunks = (0..<megabytes).map {
            CopyChunkRequest.Chunk(sourceOffset: UInt64($0 << 20), targetOffset: UInt64($0 << 20), length: 1 << 20)
        }
        var input = WireWriter()
        CopyChunkRequest(sourceKey: key, chunks: chunks).encode(into: &input)
        let bytes = input.bytes
        var request = IoctlRequest(code: .srvCopyChunk, fileID: target, maximumOutputResponse: 12)
        request.flags = IoctlRequest.isFSCTLFlag
        let posted = request
        return try run.holder.connection.post(.ioctl, SMBConnection.Options(payloadByteCount: bytes.count)) {
            posted.encode(into: &$0, input: bytes.span.bytes)
        }
    }

    /// Persistent handles are granted on named streams, too.
    private static func namedStream(_ run: Interruption) throws(ClientError) {
        var stream = try run.holder.open(
            OpenParameters(run.path(":part"), access: [.genericRead, .genericWrite], disposition: .create))
        try run.holder.connection.write(stream.fileID, at: 0, Self.block(1, count: 4096))
        _ = try run.holder.connection.postWrite(stream.fileID, at: 4096, Self.block(2, count: 4096))
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&stream)
        run.recovered()
        let id = stream.fileID
        let again = try run.holder.connection.postWrite(id, at: 4096, Self.block(2, count: 4096), isReplay: true)
        _ = try run.holder.connection.gather(again, .write)
        try run.require(
            try run.holder.connection.readAll(id) == Self.block(1, count: 4096) + Self.block(2, count: 4096),
            "not what was written")
    }

    private static func endOfFile(_ run: Interruption) throws(ClientError) {
        var file = try run.holder.open(
            OpenParameters(run.path(), access: [.genericRead, .genericWrite], disposition: .create))
        try run.holder.connection.write(file.fileID, at: 0, Self.block(1, count: 100_000))
        _ = try Self.postEndOfFile(run, file.fileID, isReplay: false)
        try run.breakServer()
        try run.holder.comeBack()
        try run.holder.reclaim(&file)
        run.recovered()
        let again = try Self.postEndOfFile(run, file.fileID, isReplay: true)
        _ = try run.holder.connection.gather(again, .setInfo)
        try run.require(
            try run.holder.connection.readAll(file.fileID) == Array(Self.block(1, count: 100_000)[..<5000]),
            "the file is not what it was cut to")
    }

    private static func postEndOfFile(
        _ run: Interruption, _ file: FileID, isReplay: Bool
    ) throws(ClientError) -> UInt64 {
        let buffer = withUnsafeBytes(of: UInt64(5000).littleEndian) { Array($0) }
        return try run.holder.connection.postSetInfo(
            file, informationClass: FileInformationClass.endOfFile.rawValue, buffer, isReplay: isReplay)
    }
}
