import Glibc
import SMB2Wire

@testable import FileStore

/// What a suite does on a file system that a test has for itself: what the server keeps lies at its root.
protocol OnItsOwnFileSystem {}

extension OnItsOwnFileSystem {
    func status(_ body: () throws -> Void) -> NTStatus {
        do { try body() } catch let error as FileError { return error.status } catch { return .internalError }
        return .success
    }

    func names(_ path: String) throws -> [String] {
        let folder = Descriptor(number: Glibc.open(path, O_RDONLY | O_DIRECTORY))
        return try Volume.names(in: folder.number).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    func withVolume(_ body: (Volume, _ path: String) throws -> Void) throws {
        let image = try Image()
        do { try body(try image.mount(), "\(image.directory)/mount") }
        try image.leave()
    }
}
