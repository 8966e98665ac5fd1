/// What is to happen, by time; at the same time, in the order it was scheduled.
struct EventQueue<Event> {
    private var heap: [(time: UInt64, order: UInt64, event: Event)] = []
    private var order: UInt64 = 0

    var nextTime: UInt64? { self.heap.first?.time }

    mutating func schedule(_ event: Event, at time: UInt64) {
        self.heap.append((time, self.order, event))
        self.order += 1
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.isBefore(child, parent) else { break }
            self.heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (time: UInt64, event: Event)? {
        guard let first = self.heap.first else { return nil }
        let last = self.heap.removeLast()
        if !self.heap.isEmpty {
            self.heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2]
                where child < self.heap.count && self.isBefore(child, least) {
                    least = child
                }
                if least == parent { break }
                self.heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.time, first.event)
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (self.heap[a].time, self.heap[a].order) < (self.heap[b].time, self.heap[b].order)
    }
}
