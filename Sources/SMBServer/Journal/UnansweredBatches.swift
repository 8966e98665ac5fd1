/// How many bytes of batches were said and not answered. They have consecutive numbers, and an answer is one to all
/// before it.
struct UnansweredBatches {
    private var byteCounts = WaitingLine<Int>()
    /// The number of the first.
    private var sequence: UInt64 = 1
    private(set) var byteCount = 0

    mutating func append(_ byteCount: Int) {
        self.byteCounts.append(byteCount)
        self.byteCount += byteCount
    }

    mutating func answer(upTo sequence: UInt64) {
        while self.sequence <= sequence, let answered = self.byteCounts.popFirst() {
            self.byteCount -= answered
            self.sequence += 1
        }
    }
}
