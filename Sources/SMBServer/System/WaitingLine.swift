/// First come, first served: what is taken at the front does not move the rest, as it would in an array, and what was taken is given back
/// before it is more than what waits.
struct WaitingLine<Element> {
    private var elements: [Element?] = []
    private var next = 0

    var count: Int { self.elements.count - self.next }
    /// Elements for which there is memory, those that were taken among them.
    var heldCount: Int { self.elements.count }

    mutating func append(_ element: Element) { self.elements.append(element) }

    mutating func popFirst() -> Element? {
        guard self.next < self.elements.count else { return nil }
        let element = self.elements[self.next].take()
        self.next += 1
        if self.next > self.elements.count / 2 {
            self.elements.removeFirst(self.next)
            self.next = 0
        }
        return element
    }
}
