import FuzzSubjects
import Glibc
import GoldenMessages

#if HOLDFAST_LIBFUZZER
    /// HOLDFAST_FUZZ_SUBJECT names the subject; without it all are named.
    private let subject: FuzzSubject = {
        let name = getenv("HOLDFAST_FUZZ_SUBJECT").map { String(cString: $0) }
        if let subject = name.flatMap({ FuzzSubject(rawValue: $0) }) { return subject }
        for subject in FuzzSubject.allCases { print(subject.rawValue) }
        exit(name == nil ? 0 : 2)
    }()

    /// Before libFuzzer reads its options and its corpus: the seeds are written to the directory HOLDFAST_FUZZ_SEEDS, the words
    /// as its dictionary to the file HOLDFAST_FUZZ_WORDS.
    @_cdecl("LLVMFuzzerInitialize")
    public func initialize(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) -> CInt {
        let subject = subject
        if let directory = getenv("HOLDFAST_FUZZ_SEEDS") { Seeds.write(subject, to: String(cString: directory)) }
        if let path = getenv("HOLDFAST_FUZZ_WORDS") { Seeds.writeDictionary(subject, to: String(cString: path)) }
        return 0
    }

    @_cdecl("LLVMFuzzerTestOneInput")
    public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        subject.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
#else
    /// The same without coverage: mutated seeds, or files that are replayed.
    @main struct Fuzz {
        static let usage = """
            Usage: holdfastfuzz SUBJECT [--seconds N] [--seed N] [--last FILE]   mutates the subject's seeds
                   holdfastfuzz SUBJECT FILE...                                  replays inputs
                   holdfastfuzz --list                                           names the subjects

            --last FILE  keeps the input that is being tried, for the case that it is the last one

            """

        static func main() {
            var words = Array(CommandLine.arguments.dropFirst())
            if words == ["--list"] {
                for subject in FuzzSubject.allCases { print(subject.rawValue) }
                return
            }
            guard let name = words.first, let subject = FuzzSubject(rawValue: name) else { Self.fail(Self.usage) }
            words.removeFirst()
            var seconds = 10
            var seed: UInt64 = 1
            var last: String?
            var files: [String] = []
            while !words.isEmpty {
                let word = words.removeFirst()
                guard word.hasPrefix("--") else {
                    files.append(word)
                    continue
                }
                guard !words.isEmpty else { Self.fail(Self.usage) }
                let value = words.removeFirst()
                switch (word, Int(value)) {
                case ("--seconds", let number?): seconds = number
                case ("--seed", let number?): seed = UInt64(truncatingIfNeeded: number)
                case ("--last", _): last = value
                default: Self.fail(Self.usage)
                }
            }
            for file in files {
                guard let bytes = Seeds.read(file) else { Self.fail("\(file) cannot be read\n") }
                subject.run(bytes)
            }
            if files.isEmpty { Self.mutate(subject, seconds: seconds, seed: seed, last: last) }
        }

        private static func mutate(_ subject: FuzzSubject, seconds: Int, seed: UInt64, last: String?) {
            var random = SplitMix64(seed: seed)
            let seeds = subject.seeds
            let end = time(nil) + seconds
            var runs = 0
            while time(nil) < end {
                for _ in 0..<64 {
                    guard let input = seeds.randomElement(using: &random) else { return }
                    let mutated = Mutation.mutate(input, with: &random)
                    if let last { Seeds.write(mutated, to: last) }
                    subject.run(mutated)
                    runs += 1
                }
            }
            print("\(subject.rawValue): \(runs) inputs in \(seconds) s")
        }

        private static func fail(_ text: String) -> Never {
            say(text)
            exit(2)
        }
    }
#endif

/// To standard error.
private func say(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
}

enum Seeds {
    static func write(_ subject: FuzzSubject, to directory: String) {
        for (index, seed) in subject.seeds.enumerated() { self.write(seed, to: "\(directory)/seed-\(index)") }
    }

    /// libFuzzer's format: a quoted string a line, its bytes in hexadecimal.
    static func writeDictionary(_ subject: FuzzSubject, to path: String) {
        func escaped(_ byte: UInt8) -> String { "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        let lines = subject.words.map { "\"" + $0.map(escaped).joined() + "\"\n" }
        self.write(Array(lines.joined().utf8), to: path)
    }

    static func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "w") else {
            say("\(path) cannot be written\n")
            exit(2)
        }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
        return bytes
    }
}
