import FileStore
import SMB2Wire
import SMBServerCore

extension CopyJob {
    /// Carries the job out; may wait for a disk.
    func run() -> CopyResult {
        var result = CopyResult(status: .success, pieces: 0, byteCount: 0)
        let target = OpenFile.of(self.target)
        do throws(FileError) {
            for piece in self.pieces {
                try self.run(piece, target)
                result.pieces += 1
                result.byteCount += piece.byteCount
            }
            result.status = self.ending
        } catch {
            if error.code != 0 { Log.write("\(error)") }
            result.status = error.status
        }
        guard self.isDurable, result.byteCount > 0 else { return result }
        let status = target.bringToStorage(includingName: false)
        // Nothing is promised of what may be lost.
        return status.isError ? CopyResult(status: status, pieces: 0, byteCount: 0) : result
    }

    private func run(_ piece: Piece, _ target: OpenFile) throws(FileError) {
        guard let handle = self.source else {
            return try target.fillWithZeros(piece.targetOffset..<piece.targetOffset + piece.byteCount)
        }
        let source = OpenFile.of(handle)
        switch self.method {
        case .copy, .zero:
            try target.volume.copyRange(
                from: source, at: piece.sourceOffset, to: target, at: piece.targetOffset,
                count: Int(clamping: piece.byteCount))
        case .clone:
            try target.volume.cloneRange(
                from: source, at: piece.sourceOffset, to: target, at: piece.targetOffset, count: piece.byteCount)
        }
    }
}
