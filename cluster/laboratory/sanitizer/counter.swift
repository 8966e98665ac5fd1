import Glibc
import Synchronization

// Threads that count in one place, each time under the same Mutex, or, with RACING, under none. The place is a dictionary, too,
// so that memory is had and given back while the lock is held. `cluster/laboratory/sanitize` says what must come of it.

private let threadCount = 4
private let roundCount = 20_000

final class Counters: @unchecked Sendable {
    let guarded = Mutex<[Int: Int]>([:])
    var unguarded = 0

    func count(_ index: Int) {
        #if RACING
            self.unguarded += 1
        #else
            self.guarded.withLock { $0[index % 7, default: 0] += 1 }
        #endif
    }
}

let counters = Counters()
var threads: [pthread_t] = []
for _ in 0..<threadCount {
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { counters in
            guard let counters else { return nil }
            let shared = Unmanaged<Counters>.fromOpaque(counters).takeUnretainedValue()
            for index in 0..<roundCount { shared.count(index) }
            return nil
        }, Unmanaged.passUnretained(counters).toOpaque())
    threads.append(thread)
}
for thread in threads { pthread_join(thread, nil) }
#if !RACING
    let sum = counters.guarded.withLock { $0.values.reduce(0, +) }
    precondition(sum == threadCount * roundCount, "the Mutex excludes nobody")
#endif
