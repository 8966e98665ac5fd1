import Raft
import StateRecords
import Testing

@testable import ClusterCore

@Suite struct QuorumDisksTests {
    private static func record(_ lun: String = "iscsi://u%p@h/t/2", areas: UInt32 = 3) -> QuorumDiskRecord {
        QuorumDiskRecord(
            lun: lun, disk: GUID16(low: 5, high: 6), areaCount: areas, ringByteCount: 20 << 20,
            checkpointByteCount: 16 << 20)
    }

    private static func state() -> ClusterState {
        let node = NodeRecord(id: 1, name: "node-a", address: "a:1", role: .data, interface: "eth0")
        let configuration = ClusterConfiguration(
            name: "c", guid: GUID16(low: 1, high: 2), domain: [1, 2, 3], certificateAuthority: "", nodes: [node],
            virtualIPs: [], lun: "iscsi://u%p@h/t/1", fileSystem: [])
        return ClusterState(founding: configuration, membership: Configuration(voters: [1]))
    }

    private static func apply(_ payload: Entry.Payload, to state: inout ClusterState) -> CommandResult {
        let entry = Entry(index: state.appliedIndex + 1, term: 1, payload: payload)
        return (try? state.apply(entry)) ?? .refused(.invalid("unreadable"))
    }

    @Test func numbersAndAreasAreGivenOnce() {
        var disks = QuorumDisks()
        disks.want(Self.record(), nodes: [1, 2])
        #expect(disks.wanted == firstDiskID)
        #expect(disks.record(firstDiskID)?.areas == [1, 2])
        disks.added(7)
        disks.added(8)
        #expect(disks.record(firstDiskID)?.areas == [1, 2, 7], "three areas, and no more")
        #expect(disks.record(firstDiskID)?.area(of: 7) == 2)
        #expect(disks.record(firstDiskID)?.area(of: 8) == nil)
        disks.want(Self.record(), nodes: [2, 8])
        #expect(disks.wanted == firstDiskID + 1)
        #expect(disks.record(firstDiskID + 1)?.areas == [2, 8])
        #expect(disks.record(firstDiskID) != nil, "it still votes")
        disks.want(nil, nodes: [2, 8])
        #expect(disks.wanted == 0)
        #expect(disks.records.map(\.number) == [firstDiskID + 1])
    }

    /// A LUN on which a vote rests is taken out before it is laid out anew.
    @Test func theDisksInUseAreTheMemberAndTheOneThatIsWanted() {
        var disks = QuorumDisks()
        #expect(disks.inUse(Configuration(voters: [1, 2])).isEmpty)
        disks.want(Self.record(), nodes: [1, 2])
        #expect(disks.inUse(Configuration(voters: [1, 2])).map(\.number) == [firstDiskID], "it is about to be one")
        #expect(disks.inUse(Configuration(voters: [1, 2, firstDiskID])).map(\.number) == [firstDiskID])
        disks.want(Self.record(), nodes: [1, 2])
        let leaving = disks.inUse(Configuration(voters: [1, 2, firstDiskID]))
        #expect(leaving.map(\.number) == [firstDiskID, firstDiskID + 1], "the one before votes until it is out")
        #expect(disks.inUse(Configuration(voters: [1, 2])).map(\.number) == [firstDiskID + 1])
        disks.want(nil, nodes: [1, 2])
        #expect(disks.inUse(Configuration(voters: [1, 2, firstDiskID + 1])).map(\.number) == [firstDiskID + 1])
        #expect(disks.inUse(Configuration(voters: [1, 2])).isEmpty, "known, and of no use to anybody")
    }

    /// Out with the old one first, then in with the new one; the promotion of a learner is any learner's.
    @Test func theStepsOfAReplacement() {
        var disks = QuorumDisks()
        #expect(disks.nextChange(Configuration(voters: [1, 2])) == nil)
        disks.want(Self.record(), nodes: [1, 2])
        #expect(disks.nextChange(Configuration(voters: [1, 2])) == .addLearner(firstDiskID))
        #expect(disks.nextChange(Configuration(voters: [1, 2], learners: [firstDiskID])) == nil)
        let voting = Configuration(voters: [1, 2, firstDiskID])
        #expect(disks.nextChange(voting) == nil)
        disks.want(Self.record(), nodes: [1, 2])
        #expect(disks.nextChange(voting) == .remove(firstDiskID))
        disks.want(nil, nodes: [1, 2])
        #expect(
            disks.nextChange(Configuration(voters: [1, 2], learners: [firstDiskID + 1])) == .remove(firstDiskID + 1))
    }

    @Test func oneReplacementAtATime() {
        var state = Self.state()
        #expect(Self.apply(.command(Command.setQuorumDisk(Self.record()).encoded), to: &state) == .done)
        _ = Self.apply(.configuration(Configuration(voters: [1, firstDiskID])), to: &state)
        #expect(Self.apply(.command(Command.setQuorumDisk(Self.record()).encoded), to: &state) == .done)
        let early = Self.apply(.command(Command.setQuorumDisk(nil).encoded), to: &state)
        #expect(early == .refused(.inUse("the quorum disk before this one is still being taken out")))
        _ = Self.apply(.configuration(Configuration(voters: [1])), to: &state)
        #expect(Self.apply(.command(Command.setQuorumDisk(nil).encoded), to: &state) == .done)
    }

    @Test func allOfItReadsBackAndNothingSecretIsShown() throws {
        var state = Self.state()
        _ = Self.apply(.command(Command.setQuorumDisk(Self.record()).encoded), to: &state)
        #expect(try ClusterState(decoding: state.encoded) == state)
        #expect(state.forPeople(active: nil).configuration.quorumDisks == QuorumDisks())
        let request = AdminRequest.replaceQuorumDisk(lun: "iscsi://x", forces: true)
        #expect(try AdminRequest(decoding: request.encoded) == request)
        var parameters = InitializeParameters(
            clusterName: "c", nodeName: "n", address: "a:1", virtualIP: "v", interface: "i", lun: "l", formats: true,
            adopts: false, forces: false)
        parameters.quorumLUN = "q"
        #expect(try InitializeParameters(decoding: parameters.encoded) == parameters)
    }
}
