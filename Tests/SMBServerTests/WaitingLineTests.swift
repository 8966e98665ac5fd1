import Testing

@testable import SMBServer

@Suite struct WaitingLineTests {
    @Test func whoComesFirstIsTakenFirst() {
        var line = WaitingLine<Int>()
        #expect(line.popFirst() == nil)
        for number in 0..<5 { line.append(number) }
        #expect(line.popFirst() == 0)
        line.append(5)
        var taken: [Int] = []
        while let number = line.popFirst() { taken.append(number) }
        #expect(taken == [1, 2, 3, 4, 5])
        #expect(line.count == 0 && line.heldCount == 0)
    }

    /// A line in which somebody always waits is never empty.
    @Test func whatWasTakenIsGivenBackWhileOthersWait() {
        var line = WaitingLine<Int>()
        for number in 0..<3 { line.append(number) }
        for number in 3..<10_000 {
            line.append(number)
            #expect(line.popFirst() == number - 3)
            #expect(line.count == 3 && line.heldCount <= 8)
        }
    }
}
