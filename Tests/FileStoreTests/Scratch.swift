import CLinux
import Glibc
import SMB2Wire
import Testing

@testable import FileStore

/// A volume in a directory of its own, gone afterwards.
final class Scratch {
    let path: String
    let volume: Volume

    init(_ change: (inout Volume.Options) -> Void = { _ in }) throws {
        var template = Array("/tmp/filestore-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw FileError(errno: errno, "mkdtemp") }
        self.path = String(cString: made)
        var options = Volume.Options(label: "test")
        change(&options)
        self.volume = try Volume(root: self.path, options: options)
    }

    deinit { Self.remove(self.path) }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                        Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
                    }
                }
                if name == [46] || name == [46, 46] { continue }
                let child = Array(path.utf8CString.dropLast()) + [47] + name + [0]
                if unlink(child) != 0 { self.removeBytes(child) }
            }
            closedir(directory)
        }
        rmdir(path)
    }

    private static func removeBytes(_ child: [CChar]) {
        self.remove(String(decoding: child.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    /// Behind the volume's back.
    func write(_ name: String, _ text: String = "") {
        let file = Glibc.open("\(self.path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        #expect(file >= 0)
        _ = text.withCString { Glibc.write(file, $0, strlen($0)) }
        Glibc.close(file)
    }

    func makeDirectory(_ name: String) { #expect(mkdir("\(self.path)/\(name)", 0o755) == 0) }

    func exists(_ name: String) -> Bool { access("\(self.path)/\(name)", F_OK) == 0 }

    func request(
        _ path: String, _ disposition: CreateDisposition = .open,
        access: AccessMask = [.readData, .writeData, .delete],
        options: CreateOptions = [], attributes: FileAttributes = []
    ) throws -> OpenRequest {
        OpenRequest(
            path: try NTPath(path), access: access, disposition: disposition, options: options, attributes: attributes)
    }

    @discardableResult
    func open(
        _ path: String, _ disposition: CreateDisposition = .open,
        access: AccessMask = [.readData, .writeData, .delete],
        options: CreateOptions = [], attributes: FileAttributes = []
    ) throws -> OpenResult {
        try self.volume.open(
            try self.request(path, disposition, access: access, options: options, attributes: attributes))
    }

    func status(_ body: () throws -> Void) -> NTStatus {
        do {
            try body()
            return .success
        } catch {
            return (error as? FileError)?.status ?? .internalError
        }
    }

    /// The status of an open.
    func status(
        _ path: String, _ disposition: CreateDisposition = .open, access: AccessMask = [.readData],
        options: CreateOptions = [], attributes: FileAttributes = []
    ) -> NTStatus {
        self.status { try self.open(path, disposition, access: access, options: options, attributes: attributes) }
    }

    /// Shown names, without the dots, sorted.
    func list(_ path: String = "", pattern: String = "*") throws -> [String] {
        let directory = try self.open(path, access: [.readData], options: .directoryFile).file
        let cursor = try DirectoryCursor(directory)
        try cursor.restart(pattern: Array(pattern.utf16))
        var names: [String] = []
        while let entry = try cursor.next() { names.append(entry.nameString) }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }
}

extension OpenFile {
    func write(_ text: String, at offset: UInt64 = 0) throws {
        var bytes = Array(text.utf8)
        _ = try bytes.withUnsafeMutableBytes { try self.write(UnsafeRawBufferPointer($0), at: offset) }
    }

    func text(at offset: UInt64 = 0, count: Int = 1 << 16) throws -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try self.read(into: $0, at: offset) }
        return String(decoding: bytes[..<got], as: UTF8.self)
    }
}
