import FuzzSubjects
import GoldenMessages
import SMB2Wire
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

    /// What the fuzzer starts from comes through to the calls: each is answered with a response, none with a fault.
    @Test(arguments: PipeSeeds.conversations.indices)
    func whatIsSaidToAPipeIsUnderstood(index: Int) {
        let conversation = PipeSeeds.conversations[index]
        let packets = PipeSeeds.cut(conversation.packets)
        #expect(packets.count > 1)
        let kinds = CoreServer().kinds(of: packets, on: conversation.service)
        #expect(kinds == packets.map { _ in RPCPacketKind.response })
    }

    /// A dictionary's words come from somewhere in what is parsed: they are neither empty nor longer than libFuzzer takes.
    @Test(arguments: FuzzSubject.allCases)
    func words(subject: FuzzSubject) {
        #expect(!subject.words.isEmpty)
        #expect(subject.words.allSatisfy { !$0.isEmpty && $0.count <= 64 })
    }
}
