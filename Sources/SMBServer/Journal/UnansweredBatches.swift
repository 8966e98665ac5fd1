/// How many bytes of batches were said and not answered. They have consecutive numbers, and an answer is one to all
/// before it.
struct UnansweredBatches {
    private var byteCounts: [Int] = []
    /// How far that is used up: removing at the front of an array moves all the rest.
    private var next = 0
    /// The number of the batch at `next`.
    private var sequence: UInt64 = 1
    private(set) var byteCount = 0

    mutating func append(_ byteCount: Int) {
        self.byteCounts.append(byteCount)
        self.byteCount += byteCount
    }

    mutating func answer(upTo sequence: UInt64) {
        while self.next < self.byteCounts.count, self.sequence <= sequence {
            self.byteCount -= self.byteCounts[self.next]
            self.next += 1
            self.sequence += 1
        }
        guard self.next > self.byteCounts.count / 2 else { return }
        self.byteCounts.removeFirst(self.next)
        self.next = 0
    }
}
