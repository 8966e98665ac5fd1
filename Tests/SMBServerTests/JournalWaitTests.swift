import Glibc
import SMB2Wire
import SMBCrypto
import Testing

@testable import SMBClient
@testable import SMBServer

/// Answers that wait for the journal, or for several files.
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

    /// The answer waits for all the files that it deletes, and is signed with the keys of a session that has ended.
    @Test(arguments: [true, false]) func whatDeletesManyFilesIsAnsweredOnce(isLogoff: Bool) throws {
        let server = try RunningServer(isContinuouslyAvailable: true)
        let client = try server.connect()
        for index in 0..<20 {
            _ = try client.create(
                OpenParameters(
                    "\(index)", access: [.readData, .delete], disposition: .create, options: .deleteOnClose))
        }
        if isLogoff { try client.logoff() } else { try client.treeDisconnect() }
        for index in 0..<20 { #expect(access("\(server.share)/\(index)", F_OK) != 0) }
    }

    /// An answer that waits may be that to a LOGOFF, and more sessions of its connection end meanwhile.
    @Test func keysStayForTheAnswersThatWait() throws {
        var security = ConnectionSecurity()
        let sessions = UInt64(ConnectionSecurity.endedKept) + 2
        for session in 1...sessions {
            let keys = try SessionKeys(sessionKey: [UInt8](repeating: 1, count: 16), dialect: 0x0302, role: .server)
            let channel = try Channel(keys, signing: .standard(forDialect: 0x0302), sealing: nil)
            security.add(channel, session: session)
        }
        for session in 1...sessions { security.end(session: session) { $0 == 1 } }
        #expect(security.signer(1) != nil)
        #expect(security.signer(2) == nil)
        #expect(security.signer(sessions) != nil)
        security.end(session: sessions + 1) { _ in false }
        #expect(security.signer(1) == nil, "it has left")
    }
}
