import SMB2Wire

/// Why a request fails: the status is for the client, the detail for the log.
package struct SMBError: Error, Equatable, Sendable {
    package var status: NTStatus
    package var detail: String?
    /// STATUS_BUFFER_TOO_SMALL: how much would do. [MS-SMB2] 2.2.2.
    package var requiredLength: UInt32?
    /// STATUS_STOPPED_ON_SYMLINK: where the client goes on. [MS-SMB2] 2.2.2.2.1.
    package var symlink: SymlinkErrorData?
    /// Not a failure: the request waits for a break on this file, see Deferred.swift.
    package internal(set) var awaitedFile: UInt64?

    package init(_ status: NTStatus, _ detail: String? = nil, requiredLength: UInt32? = nil) {
        self.status = status
        self.detail = detail
        self.requiredLength = requiredLength
    }

    package static func == (left: SMBError, right: SMBError) -> Bool { left.status == right.status }

    func response(_ dialect: Dialect) -> ErrorResponse {
        if let symlink = self.symlink {
            var writer = WireWriter(capacity: 256)
            symlink.encode(into: &writer)
            return ErrorResponse(errorData: writer.bytes, dialect: dialect)
        }
        guard let length = self.requiredLength else { return ErrorResponse() }
        return ErrorResponse(requiredLength: length, dialect: dialect)
    }
}

extension NTStatus {
    /// The node ran out of descriptors or memory: it says nothing about the file either.
    package var saysNodeIsShort: Bool {
        switch self {
        case .tooManyOpenedFiles, .insufficientResources: true
        default: false
        }
    }

    /// EIO and its like: it says that the node lost the file system, and nothing about the file. Where another node can
    /// take over such an answer must not reach the client, who would give up what the next node can still do.
    package var saysStorageFailed: Bool {
        switch self {
        case .ioDeviceError, .noSuchDevice, .deviceNotConnected: true
        default: false
        }
    }
}
