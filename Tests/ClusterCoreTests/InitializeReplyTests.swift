import StateRecords
import Testing

@testable import ClusterCore

@Suite struct InitializeReplyTests {
    @Test func aClusterSaysWhatComesNext() {
        #expect(
            AdminReply.made(cluster: "tshare")
                == .done("cluster tshare is made; next: 'clusterctl token' for each further node"))
    }

    @Test func aQuorumDiskThatVotesIsSaidWithTheClusterAndWhatComesNext() {
        #expect(
            AdminReply.done("the quorum disk votes").ofQuorumDisk(madeWith: "tshare")
                == .done(
                    "cluster tshare is made; the quorum disk votes; next: 'clusterctl token' for each further node"))
    }

    /// The cluster is there: who took the failure for init's own would repeat it, and be refused.
    @Test(arguments: [AdminFailure.Code.storage, .refused])
    func aQuorumDiskThatFailedLeavesAClusterThatWorks(code: AdminFailure.Code) {
        let reply = AdminReply.failed(AdminFailure(code, "the LUN is not there")).ofQuorumDisk(madeWith: "tshare")
        #expect(
            reply
                == .failed(
                    AdminFailure(
                        code,
                        "cluster tshare is made and works, without its quorum disk: the LUN is not there. "
                            + "Mend that, then 'clusterctl quorum replace URL'; do not repeat init")))
    }

    /// What is decided is not to be replaced.
    @Test func aQuorumDiskThatIsDecidedGoesOnByItself() {
        let reply = AdminReply.failed(AdminFailure(.unavailable, "it goes on by itself")).ofQuorumDisk(
            madeWith: "tshare")
        #expect(
            reply
                == .failed(
                    AdminFailure(
                        .unavailable,
                        "cluster tshare is made and works; its quorum disk does not vote yet: it goes on by "
                            + "itself. Do not repeat init")))
    }
}
