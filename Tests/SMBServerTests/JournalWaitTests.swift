import SMB2Wire
import Testing

@testable import SMBClient
@testable import SMBServer

/// Answers that wait for the journal.
@Suite struct JournalWaitTests {
    /// What an answer waits for may become stable in the moment in which it is put aside: some thousand answers, one after another,
    /// each of which would be the last one if that were missed.
    @Test func noAnswerIsForgottenInTheMomentInWhichItIsHeld() throws {
        let server = try RunningServer(isContinuouslyAvailable: true)
        let client = try server.connect()
        for round in 0..<3000 {
            let opened = try client.create(
                DurableHandle.request(
                    OpenParameters("a", access: .writeData, disposition: .openIf), GUID(low: UInt64(round), high: 1),
                    timeoutMilliseconds: 0))
            try #require(opened.contexts.durableV2?.isPersistent == true)
            try client.close(opened.fileID)
        }
    }
}
