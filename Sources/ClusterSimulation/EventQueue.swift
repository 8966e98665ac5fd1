/// What is to happen, by time; at the same time, in the order it was scheduled.
///
/// An event is far bigger than its place in the order: a heap of places, and the events where they were put.
struct EventQueue<Event> {
    private struct Place {
        var time: UInt64
        var order: UInt64
        var slot: Int

        func isBefore(_ other: Place) -> Bool {
            self.time != other.time ? self.time < other.time : self.order < other.order
        }
    }

    private var heap: [Place] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var order: UInt64 = 0

    var nextTime: UInt64? { self.heap.first?.time }

    mutating func schedule(_ event: Event, at time: UInt64) {
        let slot = self.free.popLast() ?? self.events.count
        if slot == self.events.count { self.events.append(event) } else { self.events[slot] = event }
        let new = Place(time: time, order: self.order, slot: slot)
        self.order += 1
        self.heap.append(new)
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard new.isBefore(self.heap[parent]) else { break }
            self.heap[child] = self.heap[parent]
            child = parent
        }
        self.heap[child] = new
    }

    mutating func pop() -> (time: UInt64, event: Event)? {
        guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
        if !self.heap.isEmpty { self.sink(last) }
        guard let event = self.events[first.slot].take() else { preconditionFailure("a place without its event") }
        self.free.append(first.slot)
        return (first.time, event)
    }

    /// Puts `place` in at the top, whose own is gone.
    private mutating func sink(_ place: Place) {
        var parent = 0
        while true {
            var least = 2 * parent + 1
            guard least < self.heap.count else { break }
            if least + 1 < self.heap.count, self.heap[least + 1].isBefore(self.heap[least]) { least += 1 }
            guard self.heap[least].isBefore(place) else { break }
            self.heap[parent] = self.heap[least]
            parent = least
        }
        self.heap[parent] = place
    }
}
