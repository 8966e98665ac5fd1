import FuzzSubjects
import GoldenMessages
import Testing

/// The fuzzer's subjects without the fuzzer: that they live, and that what was found once stays harmless.
@Suite(.serialized) struct FuzzSubjectsTests {
    private static let mutationsEach = 400

    @Test(arguments: FuzzSubject.allCases)
    func seedsAndMutations(subject: FuzzSubject) {
        let seeds = subject.seeds
        #expect(!seeds.isEmpty)
        for seed in seeds { subject.run(seed) }
        subject.run([])
        var random = SplitMix64(seed: 1)
        for _ in 0..<Self.mutationsEach {
            guard let seed = seeds.randomElement(using: &random) else { return }
            subject.run(Mutation.mutate(seed, with: &random))
        }
    }
}
