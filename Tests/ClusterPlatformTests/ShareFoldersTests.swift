import Glibc
import Testing

@testable import ClusterPlatform

@Suite struct ShareFoldersTests {
    /// Gone with the last reference.
    private final class Scratch {
        let path: String

        init() throws {
            var template = Array("/tmp/holdfast-folders-XXXXXX".utf8CString)
            self.path = String(cString: try #require(mkdtemp(&template)))
        }

        deinit { _ = try? ChildProcess.run("/bin/rm", ["-r", self.path], timeout: .seconds(10)) }

        /// Permissions and kind; nil where there is nothing.
        func mode(_ name: String) -> mode_t? {
            var status = stat()
            return lstat("\(self.path)/\(name)", &status) == 0 ? status.st_mode : nil
        }
    }

    /// clusterd has a umask of 077, and what a share's clients make beneath has the share's modes.
    @Test func whatIsMissingIsMadeForEverybodyOfTheShare() throws {
        let scratch = try Scratch()
        let folders = try ShareFolders(on: scratch.path)
        #expect(folders.make(["work", "deep/er/est"]).isEmpty)
        for name in ["work", "deep", "deep/er", "deep/er/est"] { #expect(scratch.mode(name) == S_IFDIR | 0o775) }
    }

    @Test func whatIsThereStaysAsItIs() throws {
        let scratch = try Scratch()
        try #require(mkdir("\(scratch.path)/work", 0o700) == 0)
        let folders = try ShareFolders(on: scratch.path)
        #expect(folders.make(["work", "work/inner"]).isEmpty)
        #expect(scratch.mode("work") == S_IFDIR | 0o700)
        #expect(scratch.mode("work/inner") == S_IFDIR | 0o775)
    }

    /// mkdir says the same of a file that is in the way as of a folder that is there already.
    @Test func aFileInTheWayIsSaidOfItsShareAlone() throws {
        let scratch = try Scratch()
        _ = try Descriptor.open("\(scratch.path)/file", O_CREAT | O_WRONLY)
        let failures = try ShareFolders(on: scratch.path).make(["file", "file/inner", "other"])
        #expect(failures.keys.sorted() == ["file", "file/inner"])
        #expect(failures["file"]?.contains("Not a directory") == true)
        #expect(scratch.mode("other") == S_IFDIR | 0o775)
        #expect(scratch.mode("file") == S_IFREG | 0o600)
    }
}
