import Testing

@testable import ClusterPlatform

@Suite struct SocketDiagnosisTests {
    /// linux/inet_diag.h: family, protocol, attributes wanted, padding, states, ports, addresses, interface, cookie.
    @Test func query() {
        let query = SocketDiagnosis.query(family: 2, port: 445)
        #expect(query.count == 56)
        #expect(Array(query[..<10]) == [2, 6, 2, 0, 0x02, 0x01, 0, 0, 0x01, 0xBD])
        #expect(query[10...].allSatisfy { $0 == 0 })
    }

    /// The identity that the kernel gave, cookie and all, is what is destroyed.
    @Test func identity() throws {
        let socket = try #require(SocketDiagnosis(Self.message(dataSegments: 0)[...]))
        #expect(socket.dataSegmentsSent == 0)
        #expect(socket.localAddress(4) == [8, 9, 10, 11])
        #expect(Array(socket.destruction(family: 2)[8...]) == Array(8..<56).map { UInt8($0 - 4) })
        #expect(SocketDiagnosis(Self.message(dataSegments: 7)[...])?.dataSegmentsSent == 7)
    }

    /// A socket of which the kernel does not say what it sent is none that nothing was sent on.
    @Test func truncated() {
        let whole = Self.message(dataSegments: 0)
        for count in 0..<whole.count { #expect(SocketDiagnosis(whole[..<count]) == nil) }
    }

    /// The bytes of inet_diag_msg number themselves; behind it INET_DIAG_INFO, as far as tcpi_data_segs_out.
    private static func message(dataSegments: UInt8) -> [UInt8] {
        (0..<72).map { UInt8($0) } + [164, 0, 2, 0] + [UInt8](repeating: 0xFF, count: 156) + [dataSegments, 0, 0, 0]
    }
}
