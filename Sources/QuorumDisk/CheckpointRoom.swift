/// How much of what a checkpoint can hold the cluster's state takes. A state that does not fit is found out when the
/// disk is needed most: whoever takes over with the disk alone writes its state there before anything else is decided.
package struct CheckpointRoom: Equatable, Sendable {
    package enum Grade: Equatable, Sendable {
        case enough
        /// It fits, and people should see to it that it goes on fitting.
        case scarce
        case exceeded
    }

    /// Where it begins to be scarce, in quarters.
    private static let scarceQuarters = 3

    package var stateByteCount: Int
    package var byteCount: Int

    package init(stateByteCount: Int, in layout: Layout) {
        self.stateByteCount = stateByteCount
        self.byteCount = layout.checkpointByteCount
    }

    package var grade: Grade {
        if self.stateByteCount > self.byteCount { return .exceeded }
        return self.stateByteCount > self.byteCount / 4 * Self.scarceQuarters ? .scarce : .enough
    }

    /// For people, as what follows.
    package var text: String {
        "a state of up to \(Self.mebibytes(self.byteCount)) fits, it has \(Self.mebibytes(self.stateByteCount)) now"
    }

    /// What to do, and by when.
    package var problem: String? {
        let remedy = "give it a larger LUN ('clusterctl quorum replace URL', docs/QUORUM.md says how large)"
        let (state, room) = (Self.mebibytes(self.stateByteCount), Self.mebibytes(self.byteCount))
        return switch self.grade {
        case .enough: nil
        case .scarce:
            "the cluster's state (\(state)) takes more than 3/4 of what the quorum disk can hold (\(room)): before it "
                + "is full, \(remedy)"
        case .exceeded:
            "the cluster's state (\(state)) does not fit the quorum disk (\(room)), which carries no takeover so: "
                + remedy
        }
    }

    /// Rounded up.
    private static func mebibytes(_ byteCount: Int) -> String { "\((byteCount + (1 << 20) - 1) >> 20) MiB" }
}
