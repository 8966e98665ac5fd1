import SMB2Wire

/// Bytes that move from file to file on the server: FSCTL_SRV_COPYCHUNK, FSCTL_DUPLICATE_EXTENTS_TO_FILE, FSCTL_OFFLOAD_READ
/// and FSCTL_OFFLOAD_WRITE. The core has judged rights and locks; the shell carries it out on a thread of its own, piece by
/// piece, and the reply that was written for success is then put right (`ServerState.settleCopy`).
package struct CopyJob: Sendable {
    package enum Method: Sendable {
        /// The kernel shares or copies, whichever it can.
        case copy
        /// The blocks become shared, or it fails.
        case clone
        /// No source: the range reads as zeros afterwards.
        case zero
    }

    /// What is put right in the reply.
    package enum Answer: Sendable {
        /// Success or failure is all it says.
        case status
        /// SRV_COPYCHUNK_RESPONSE.
        case chunks
        /// FSCTL_OFFLOAD_WRITE_OUTPUT.
        case offloadWrite
    }

    package struct Piece: Equatable, Sendable {
        package var sourceOffset: UInt64
        package var targetOffset: UInt64
        package var byteCount: UInt64

        package init(sourceOffset: UInt64, targetOffset: UInt64, byteCount: UInt64) {
            self.sourceOffset = sourceOffset
            self.targetOffset = targetOffset
            self.byteCount = byteCount
        }
    }

    package var method: Method
    /// Nil with `.zero`.
    package var source: (any FileHandle)?
    package var target: any FileHandle
    package var pieces: [Piece]
    /// What follows the pieces: success, or why the next one may not be copied.
    package var ending: NTStatus = .success
    /// What was copied must be on stable storage before the answer leaves.
    package var isDurable: Bool
    package var answer: Answer
}

/// How far a job came.
package struct CopyResult: Equatable, Sendable {
    package var status: NTStatus
    /// Whole pieces.
    package var pieces: Int
    package var byteCount: UInt64

    package init(status: NTStatus, pieces: Int, byteCount: UInt64) {
        self.status = status
        self.pieces = pieces
        self.byteCount = byteCount
    }
}

extension ServerState {
    /// Puts the reply at `start` right, which was written for a job that succeeds. What a copy of chunks did before it failed is
    /// told beside the failure's status. [MS-SMB2] 3.3.5.15.6.2.
    /// - Parameter isLast: nothing follows the reply in its frame.
    package static func settleCopy(
        _ answer: CopyJob.Answer, _ result: CopyResult, at start: Int, isLast: Bool, into writer: inout WireWriter
    ) {
        let output = start + SMB2Header.byteCount + IoctlResponse.fixedByteCount
        switch answer {
        case .chunks:
            writer.store(result.status.rawValue, at: start + SMB2Header.statusOffset)
            writer.store(UInt32(clamping: result.pieces), at: output)
            writer.store(UInt32(0), at: output + 4)
            writer.store(UInt32(clamping: result.byteCount), at: output + 8)
        case .offloadWrite where !result.status.isError:
            writer.store(result.byteCount, at: output + OffloadWrite.lengthWrittenOffset)
        case .status, .offloadWrite:
            guard result.status.isError else { return }
            Self.replaceReply(at: start, status: result.status, isLast: isLast, into: &writer)
        }
    }
}
