import ClusterCore
import Raft
import StateRecords

/// The state as it was: the stored one, and the log's entries behind it.
package enum StateHistory {
    package enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// What can be shown instead.
        case notKept(first: LogIndex, last: LogIndex)
        case store(StoreError)
        case unreadable(VersionProblem)

        package var description: String {
            switch self {
            case .notKept(let first, let last): "this node keeps the state of the entries \(first) to \(last)"
            case .store(let error): "\(error)"
            case .unreadable(let problem): "\(problem)"
            }
        }
    }

    /// Reads the file that the store is writing, as of one moment. Not on a thread that must not wait for the disk.
    /// - Parameter applied: the last entry that is known to be committed; the log may go on behind it.
    package static func state(
        at index: LogIndex, applied: LogIndex, in folder: StateFolder
    ) throws(Failure) -> ClusterState {
        let contents: (state: ClusterState?, entries: [Entry])
        do throws(StoreError) {
            contents = try StateDatabase.read(path: folder.database)
        } catch {
            throw .store(error)
        }
        guard var state = contents.state else { throw .notKept(first: applied, last: applied) }
        guard index >= state.appliedIndex, index <= applied else {
            throw .notKept(first: state.appliedIndex, last: applied)
        }
        for entry in contents.entries where entry.index > state.appliedIndex && entry.index <= index {
            do throws(VersionProblem) { try state.apply(entry) } catch { throw .unreadable(error) }
        }
        guard state.appliedIndex == index else { throw .notKept(first: state.appliedIndex, last: state.appliedIndex) }
        return state
    }
}
