import CLinux
import Glibc
import SMB2Wire

/// Why a file operation failed: the status for the client, the operation and Linux's number for the log.
package struct FileError: Error, Equatable, Sendable {
    package var status: NTStatus
    /// Linux's errno, or 0 where the refusal is our own.
    package var code: Int32
    package var operation: String
    /// With STATUS_STOPPED_ON_SYMLINK: where to go on.
    package var link: StoppedOnSymlink?

    @inline(never)
    package init(_ status: NTStatus, _ operation: StaticString) {
        self.status = status
        self.code = 0
        self.operation = operation.description
    }

    /// From a system call's errno.
    @inline(never)
    package init(errno code: Int32, _ operation: StaticString) {
        self.status = NTStatus(errno: code)
        self.code = code
        self.operation = operation.description
    }

    package static func == (left: FileError, right: FileError) -> Bool {
        left.status == right.status && left.code == right.code
    }
}

extension FileError: CustomStringConvertible {
    package var description: String {
        guard self.code != 0 else { return "\(self.operation): \(self.status)" }
        return "\(self.operation): \(String(cString: strerror(self.code))) (\(self.status))"
    }
}

extension NTStatus {
    /// The one place where Linux's error numbers become NTSTATUS. An operation that knows better (a path's middle against
    /// its end) decides before it comes here.
    package init(errno code: Int32) {
        self =
            switch code {
            case EPERM, EACCES: .accessDenied
            case ENOENT: .objectNameNotFound
            case EEXIST: .objectNameCollision
            case ENOTDIR: .objectPathNotFound
            case EISDIR: .fileIsADirectory
            case ENOTEMPTY: .directoryNotEmpty
            case ENAMETOOLONG: .nameTooLong
            case EINVAL, EOVERFLOW: .invalidParameter
            case ENOSPC: .diskFull
            case EDQUOT: .quotaExceeded
            case EFBIG: .diskFull
            case EROFS: .mediaWriteProtected
            // A file system that shut down or lost its device: the client may try again elsewhere.
            case EIO, EUCLEAN, ENOMEDIUM: .ioDeviceError
            case ENODEV, ENXIO: .noSuchDevice
            case ESHUTDOWN, ENOLINK: .deviceNotConnected
            case EBADMSG: .crcError
            case EMFILE, ENFILE: .tooManyOpenedFiles
            case ENOMEM: .insufficientResources
            case EMLINK: .tooManyLinks
            case EXDEV: .notSameDevice
            case EBUSY, ETXTBSY: .sharingViolation
            case ELOOP: .accessDenied
            case EBADF: .fileClosed
            case ESTALE: .fileClosed
            case EOPNOTSUPP, ENOTTY, ENOSYS: .notSupported
            case EAGAIN, EINTR: .retry
            case ETIMEDOUT: .ioTimeout
            case E2BIG, ERANGE: .insufficientResources
            case ENODATA: .notFound
            default: .unsuccessful
            }
    }
}

/// The result of a CLinux call, or its error.
@discardableResult @inline(__always)
func check(_ result: Int, _ operation: StaticString) throws(FileError) -> Int {
    guard result >= 0 else { throw FileError(errno: Int32(truncatingIfNeeded: -result), operation) }
    return result
}

/// What a CLinux call says when it failed with `code`.
@inline(__always)
func failed(_ result: Int, _ code: Int32) -> Bool { result == -Int(code) }
