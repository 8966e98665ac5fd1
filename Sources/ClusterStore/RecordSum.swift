import Raft
import StateRecords

/// The checksum of a row of `state.db`: CRC-32C over the table's name, the row's key and all its fields, so that a row that
/// was changed, or that stands in another's place, is noticed. SQLite itself keeps no checksums.
enum RecordSum {
    static func meta(_ key: String, _ value: [UInt8]) -> UInt32 { self.sum("meta", value) { $0.write(key) } }

    static func hardState(_ state: HardState) -> UInt32 {
        self.sum("hard_state", []) { head in
            head.write(state.term)
            head.write(state.votedFor != nil)
            head.write(state.votedFor ?? 0)
            head.write(state.commitIndex)
        }
    }

    static func entry(_ index: LogIndex, _ term: Term, _ payload: [UInt8]) -> UInt32 {
        self.sum("log", payload) { head in
            head.write(index)
            head.write(term)
        }
    }

    static func state(_ appliedIndex: LogIndex, _ value: [UInt8]) -> UInt32 {
        self.sum("state", value) { $0.write(appliedIndex) }
    }

    private static func sum(_ table: String, _ body: [UInt8], _ fields: (inout BinaryWriter) -> Void) -> UInt32 {
        var head = BinaryWriter()
        head.write(table)
        fields(&head)
        var sum = CRC32C()
        sum.add(head.bytes)
        sum.add(body)
        return sum.value
    }
}
