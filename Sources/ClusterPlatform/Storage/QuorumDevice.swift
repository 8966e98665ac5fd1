/// The LUN of a quorum disk: whole blocks, read from the medium's truth and written to stable storage. One thread owns it.
///
/// No reservation, no special command. What makes it safe is the barrier: after `open`, nothing that this node sent in an
/// earlier session, of this process or of one before, can still change the LUN.
package final class QuorumDevice {
    private let address: LUNAddress
    private let initiator: Initiator
    private let timeout: Duration
    private var session: ISCSISession?
    private var blockSize: UInt32 = 512
    package private(set) var byteCount: UInt64 = 0

    package init(_ address: LUNAddress, as initiator: Initiator, timeout: Duration) {
        self.address = address
        self.initiator = initiator
        self.timeout = timeout
    }

    /// The barrier. A login with the same name and ISID ends the session before it (RFC 3720 5.3.5), and LOGICAL UNIT RESET
    /// ends whatever that one still had in the target's hands (tgt goes on with it otherwise, measured). Commands of other
    /// nodes that are under way at this moment end as well; they repeat them behind a barrier of their own.
    ///
    /// `isBarrier` false: only a session, for a LUN that another one may be using.
    package func open(isBarrier: Bool = true) throws(PlatformError) {
        self.close()
        let session = try ISCSISession(self.address, as: self.initiator, timeout: self.timeout)
        if isBarrier {
            try session.resetLogicalUnit()
            try session.testUnitReady()
        }
        let description = try session.describe()
        self.blockSize = description.blockSize
        self.byteCount = description.byteCount
        self.session = session
    }

    /// Without a word to the target: what is under way has an unknown outcome.
    package func close() {
        self.session?.destroy()
        self.session = nil
    }

    package func logout() {
        self.session?.logout()
        self.session = nil
    }

    private func live() throws(PlatformError) -> ISCSISession {
        guard let session = self.session, !session.isLost else {
            throw PlatformError(.unreachable, "\(self.address): the session to the quorum disk is over")
        }
        return session
    }

    /// Bytes from the LUN's beginning; both multiples of 4096.
    package func read(_ offset: Int, _ byteCount: Int) throws(PlatformError) -> [UInt8] {
        try self.live().read(
            block: UInt64(offset) / UInt64(self.blockSize), count: UInt32(byteCount) / self.blockSize,
            blockSize: self.blockSize)
    }

    /// Not on stable storage before `flush`.
    package func write(_ offset: Int, _ bytes: [UInt8]) throws(PlatformError) {
        try self.live().write(block: UInt64(offset) / UInt64(self.blockSize), blockSize: self.blockSize, bytes)
    }

    package func flush() throws(PlatformError) { try self.live().synchronizeCache() }

    /// What is on the LUN; a quorum disk's own superblock counts as something foreign.
    package func content() throws(PlatformError) -> LUNContent { try LUNContent.probe(try self.live()) }
}
