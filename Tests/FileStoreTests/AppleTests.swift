import SMB2Wire
import Testing

@testable import FileStore

@Suite struct AppleTests {
    private static func information(_ finderInfo: [UInt8]) -> [UInt8] {
        [0x41, 0x46, 0x50, 0x00, 0, 0, 1, 0, 0, 0, 0, 0, 0x80, 0, 0, 0] + finderInfo + [UInt8](repeating: 0, count: 12)
    }

    private func write(_ file: OpenFile, _ contents: [UInt8]) throws {
        var bytes = contents
        _ = try bytes.withUnsafeMutableBytes { try file.write(UnsafeRawBufferPointer($0), at: 0) }
    }

    @Test func whatTheFinderKeepsIsListed() throws {
        let scratch = try Scratch()
        let finderInfo = [UInt8](1...32)
        try self.write(try scratch.open("a:AFP_AfpInfo", .create).file, Self.information(finderInfo))
        try self.write(try scratch.open("a:AFP_Resource", .create).file, [1, 2, 3])
        try scratch.open("b", .create)
        try self.write(try scratch.open("c:AFP_AfpInfo", .create).file, [UInt8](repeating: 9, count: 60))
        let cursor = try DirectoryCursor(try scratch.open("", access: [.readData], options: .directoryFile).file)
        try cursor.restart(pattern: Array("?".utf16))
        #expect(try cursor.next()?.apple == nil, "nobody asked")
        cursor.showAppleAttributes()
        try cursor.restart()
        var found: [String: AppleAttributes] = [:]
        while let entry = try cursor.next() {
            if let apple = entry.apple { found[entry.nameString] = apple }
        }
        #expect(found["a"]?.finderInfo == finderInfo)
        #expect(found["a"]?.resourceForkSize == 3)
        #expect(found["b"] == AppleAttributes())
        #expect(found["c"]?.finderInfo == nil, "no AfpInfo without its signature")
    }

    @Test func attributesAndStreamsAreTakenOver() throws {
        let scratch = try Scratch()
        let source = try scratch.open("a", .create).file
        try source.setExtendedAttributes([ExtendedAttribute(name: Array("color".utf8), value: [7])])
        try scratch.open("a:AFP_Resource", .create).file.write("fork")
        let target = try scratch.open("b", .create).file
        try scratch.open("b:old", .create).file.write("goes")
        try target.setExtendedAttributes([ExtendedAttribute(name: Array("old".utf8), value: [1])])
        try target.adoptAttributes(of: source)
        #expect(try scratch.open("b:AFP_Resource").file.text() == "fork")
        #expect(scratch.status("b:old") == .objectNameNotFound)
        #expect(try target.extendedAttributes().map(\.value) == [[7]])
        #expect(scratch.status { try source.adoptAttributes(of: source) } == .invalidParameter)
    }
}
