import Testing

@testable import ClusterPlatform

@Suite struct PacketsTests {
    private let hardware: [UInt8] = [0x02, 0, 0, 0xAA, 0xBB, 0xCC]

    @Test func gratuitousARPRequest() throws {
        let address = try #require(IPAddress("192.0.2.10"))
        let frame = Packets.gratuitousARP(address, hardware: self.hardware, operation: .request)
        let golden: [UInt8] = [
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02, 0, 0, 0xAA, 0xBB, 0xCC, 0x08, 0x06,  //
            0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0, 0, 0xAA, 0xBB, 0xCC, 192, 0, 2, 10,  //
            0, 0, 0, 0, 0, 0, 192, 0, 2, 10,
        ]
        #expect(frame == golden)
        let reply = Packets.gratuitousARP(address, hardware: self.hardware, operation: .reply)
        #expect(reply[21] == 2)
        #expect(Array(reply[32..<38]) == self.hardware)
    }

    /// RFC 1071's own example, and a header whose checksum verifies to zero.
    @Test func checksum() {
        #expect(Packets.checksum([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]) == ~0xDDF2)
        #expect(Packets.checksum([0x01]) == ~0x0100)
    }

    @Test func tickleIPv4() throws {
        let source = try #require(IPAddress("10.0.0.100"))
        let packet = try #require(Packets.tickle(from: source, port: 445, to: try ClientEndpoint("10.0.0.7:50000")))
        let golden: [UInt8] = [
            0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0xFF, 0x06, 0x67, 0x65, 10, 0, 0, 100, 10, 0, 0, 7,  //
            0x01, 0xBD, 0xC3, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0x04, 0xD2, 0xD1, 0x8A, 0, 0,
        ]
        #expect(packet == golden)
        #expect(Packets.checksum(Array(packet[..<20])) == 0)
        let pseudo: [UInt8] = [10, 0, 0, 100, 10, 0, 0, 7, 0, 6, 0, 20]
        #expect(Packets.checksum(pseudo + packet[20...]) == 0)
    }

    @Test func tickleIPv6() throws {
        let source = try #require(IPAddress("2001:db8::100"))
        let client = try ClientEndpoint("[2001:db8::7]:50000")
        let packet = try #require(Packets.tickle(from: source, port: 445, to: client))
        #expect(packet.count == 60)
        #expect(Array(packet[..<8]) == [0x60, 0, 0, 0, 0, 20, 6, 255])
        let pseudo = source.bytes + client.address.bytes + [0, 0, 0, 20, 0, 0, 0, 6]
        #expect(Packets.checksum(pseudo + packet[40...]) == 0)
        #expect(Packets.tickle(from: source, port: 445, to: try ClientEndpoint("10.0.0.7:1")) == nil)
    }

    @Test func neighbourAdvertisement() throws {
        let address = try #require(IPAddress("2001:db8::100"))
        let frame = Packets.neighbourAdvertisement(address, hardware: self.hardware)
        #expect(frame.count == 14 + 40 + 32)
        #expect(Array(frame[..<14]) == [0x33, 0x33, 0, 0, 0, 1] + self.hardware + [0x86, 0xDD])
        #expect(frame[21] == 255)  // RFC 4861 7.1.2: anything else is dropped
        #expect(frame[54] == 136)
        #expect(frame[58] == 0x20)  // override
        let pseudo = Array(frame[22..<54]) + [0, 0, 0, 32, 0, 0, 0, 58]
        #expect(Packets.checksum(pseudo + frame[54...]) == 0)
    }
}

@Suite struct NetlinkTests {
    @Test func addAnIPv4Address() throws {
        let address = try #require(IPAddress("192.0.2.10"))
        let body = Netlink.addressBody(address, prefixLength: 24, interface: 3)
        let message = Netlink.message(.newAddress, [.request, .acknowledge, .create, .exclusive], sequence: 1, body)
        let golden: [UInt8] = [
            40, 0, 0, 0, 20, 0, 0x05, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,  //
            2, 24, 0, 0, 3, 0, 0, 0, 8, 0, 2, 0, 192, 0, 2, 10, 8, 0, 1, 0, 192, 0, 2, 10,
        ]
        #expect(message == golden)
    }

    @Test func anAddressOnLoan() throws {
        let address = try #require(IPAddress("192.0.2.10"))
        let forever = Netlink.addressBody(address, prefixLength: 24, interface: 3)
        let golden: [UInt8] = forever + [20, 0, 6, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(Netlink.addressBody(address, prefixLength: 24, interface: 3, lifetime: 2) == golden)
    }

    /// Longer than the lease, in whole seconds, and never less than two: the kernel counts in seconds.
    @Test(arguments: [(0, 1), (1, 2), (900, 2), (1000, 2), (1001, 3), (4500, 6)])
    func itOutlivesTheLease(lease: Int, seconds: UInt32) {
        #expect(VirtualAddress.lifetime(lease: .milliseconds(lease)) == max(2, seconds))
    }

    @Test func silenceAnIPv6Address() throws {
        let address = try #require(IPAddress("2001:db8::1"))
        let golden: [UInt8] =
            [10, 0, 128, 0, 0, 0, 0, 6, 0, 0, 0, 0, 20, 0, 2, 0] + address.bytes + [8, 0, 6, 0, 0xBD, 0x01, 0, 0]
        #expect(Netlink.silenceRuleBody(address) == golden)
    }

    @Test func attributesAndEveryTruncation() {
        let bytes = Netlink.attribute(3, Array("eth0".utf8) + [0]) + Netlink.attribute(1, [1, 2, 3, 4, 5, 6])
        let parsed = Netlink.attributes(bytes[...])
        #expect(parsed[3] == Array("eth0".utf8) + [0])
        #expect(parsed[1] == [1, 2, 3, 4, 5, 6])
        for count in 0..<bytes.count { _ = Netlink.attributes(bytes[..<count]) }
        #expect(Netlink.attributes([3, 0, 1, 0]).isEmpty)
        #expect(Netlink.attributes([0xFF, 0xFF, 1, 0]).isEmpty)
    }

    @Test func messagesAndEveryTruncation() {
        let bytes =
            Netlink.message(.done, [], sequence: 7, [1, 2, 3, 4]) + Netlink.message(.error, [], sequence: 8, [])
        let parsed = Netlink.messages(bytes[...])
        #expect(parsed.map(\.sequence) == [7, 8])
        #expect(parsed.first.map { Array($0.body) } == [1, 2, 3, 4])
        for count in 0..<bytes.count { #expect(Netlink.messages(bytes[..<count]).count < 2) }
    }

    @Test func theLoopbackInterfaceIsKnown() throws {
        #expect(try LinkInformation.of("lo").index >= 1)
        #expect(throws: PlatformError.self) { try LinkInformation.of("no-such-if") }
        #expect(throws: PlatformError.self) { try LinkInformation.of("") }
        #expect(throws: PlatformError.self) { try LinkInformation.of("a-name-that-is-too-long") }
    }

    @Test func anInterfaceThatIsThereWillDoForAVirtualAddress() throws { try NetworkInterface.require("lo") }

    /// An administrator reads it.
    @Test(arguments: [
        ("no-such-if", "there is no network interface no-such-if. 'ip link' shows them: give --interface"),
        (
            "a-name-that-is-too-long",
            "a-name-that-is-too-long is not the name of a network interface. 'ip link' shows them: give --interface"
        ),
    ])
    func anInterfaceThatIsNotThereIsSaidWithWhereToLook(interface: String, message: String) {
        let error = #expect(throws: PlatformError.self) { try NetworkInterface.require(interface) }
        #expect(error?.message == message)
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        "192.0.2.10", "192.0.2.10/0", "192.0.2.10/33", "192.0.2/24", "2001:db8::1/129", "/24", "x/24", "",
    ])
    func notAVirtualAddress(text: String) {
        #expect(throws: PlatformError.self) { try VirtualAddress(text, interface: "eth0") }
    }

    @Test func addresses() throws {
        #expect(try VirtualAddress("2001:db8::1/64", interface: "eth0").description == "2001:db8::1/64 on eth0")
        #expect(IPAddress(bytes: [1, 2, 3]) == nil)
        #expect(IPAddress(bytes: [10, 0, 0, 1])?.description == "10.0.0.1")
        #expect(try ClientEndpoint("[::1]:445").description == "[::1]:445")
        for text in ["10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "::1:x", ""] {
            #expect(throws: PlatformError.self) { try ClientEndpoint(text) }
        }
    }

    /// Bound before the address exists: nobody is refused between the address and the listener.
    @Test func listeningOnAnAddressThatIsNotThere() throws {
        for text in ["192.0.2.123", "2001:db8::123"] {
            let address = try #require(IPAddress(text))
            let listener = try ListeningSocket.open(address: address, port: UInt16.random(in: 20000...60000))
            #expect(listener.raw >= 0)
        }
    }
}
