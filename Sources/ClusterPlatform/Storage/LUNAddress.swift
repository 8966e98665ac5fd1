/// Where a LUN is: `iscsi://user%password@host[:port][,host[:port]...]/target-iqn/lun`. Its description hides the password.
package struct LUNAddress: Hashable, Sendable, CustomStringConvertible {
    package struct Credentials: Hashable, Sendable {
        package var user: String
        package var password: String
    }

    /// One way to the target: a name, an IPv4 address, or an IPv6 address without its brackets; and a port.
    package struct Portal: Hashable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: UInt16

        /// `host:port` as libiscsi reads it.
        package var description: String {
            self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
        }
    }

    package static let defaultPort: UInt16 = 3260
    /// Two networks and a target with two controllers make four.
    package static let maximumPortals = 8
    /// libiscsi keeps every name in 255 bytes; RFC 3720 3.2.6.1 allows an iSCSI name 223.
    package static let maximumNameLength = 223

    package var credentials: Credentials?
    /// At least one. Each leads to the same unit; a session has one of them, the first that answers.
    package var portals: [Portal]
    package var target: String
    package var lun: UInt16

    /// Throws `.invalid`; the text itself is not repeated in the message, because it may hold a password.
    package init(_ text: String) throws(PlatformError) {
        func refuse(_ what: String) -> PlatformError {
            PlatformError(
                .invalid,
                "the LUN's address \(what); it must look like iscsi://user%password@host[:port]/target-iqn/lun, with a comma between several host[:port]"
            )
        }
        guard text.hasPrefix("iscsi://") else { throw refuse("does not begin with iscsi://") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw refuse("has a space or a control character in it")
        }
        let rest = text.dropFirst(8)
        // The target and the LUN stand behind the last two slashes: a password may have slashes and at-signs.
        guard let lunSlash = rest.lastIndex(of: "/"), let targetSlash = rest[..<lunSlash].lastIndex(of: "/") else {
            throw refuse("has no target and LUN")
        }
        guard let lun = UInt16(rest[rest.index(after: lunSlash)...]), lun < 16384 else {
            throw refuse("has no LUN number (0 to 16383) at its end")
        }
        guard let target = Self.decodePercent(rest[rest.index(after: targetSlash)..<lunSlash]), !target.isEmpty,
            target.utf8.count <= Self.maximumNameLength
        else { throw refuse("has no valid target name") }

        var portal = rest[..<targetSlash]
        if let at = portal.lastIndex(of: "@") {
            let login = portal[..<at]
            guard let percent = login.firstIndex(of: "%") else { throw refuse("has a user but no password") }
            let user = String(login[..<percent])
            let password = String(login[login.index(after: percent)...])
            guard !user.isEmpty, !password.isEmpty, user.utf8.count <= 255, password.utf8.count <= 255 else {
                throw refuse("has an empty or over-long user or password")
            }
            self.credentials = Credentials(user: user, password: password)
            portal = portal[portal.index(after: at)...]
        }

        self.portals = []
        for text in portal.split(separator: ",", omittingEmptySubsequences: false) {
            let portal = try Self.portal(text, refuse)
            guard !self.portals.contains(portal) else { throw refuse("names the portal \(portal) twice") }
            self.portals.append(portal)
        }
        guard self.portals.count <= Self.maximumPortals else {
            throw refuse("has more than \(Self.maximumPortals) portals")
        }
        self.target = target
        self.lun = lun
    }

    private static func portal(
        _ portal: Substring, _ refuse: (String) -> PlatformError
    ) throws(PlatformError) -> Portal {
        let host: String
        var portText: Substring?
        if portal.first == "[" {
            guard let bracket = portal.firstIndex(of: "]") else { throw refuse("has an IPv6 address without its ]") }
            host = String(portal[portal.index(after: portal.startIndex)..<bracket])
            let tail = portal[portal.index(after: bracket)...]
            if !tail.isEmpty {
                guard tail.first == ":" else { throw refuse("has something else than a port behind the ]") }
                portText = tail.dropFirst()
            }
        } else {
            let parts = portal.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { throw refuse("has an IPv6 address without brackets") }
            host = String(parts.first ?? "")
            if parts.count == 2 { portText = parts[1] }
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { throw refuse("has no host") }
        guard let portText else { return Portal(host: host, port: Self.defaultPort) }
        guard let port = UInt16(portText), port != 0 else { throw refuse("has a port that is not 1 to 65535") }
        return Portal(host: host, port: port)
    }

    /// The same unit over each of its portals alone.
    package var paths: [LUNAddress] {
        self.portals.map {
            var path = self
            path.portals = [$0]
            return path
        }
    }

    /// The same unit, as far as the addresses say; a target with two portals may have two.
    package func isSame(as other: LUNAddress) -> Bool { self.target == other.target && self.lun == other.lun }

    /// The portals as they stand in an address. Of a single path: `host:port` as libiscsi reads it.
    package var portal: String { self.portals.map(\.description).joined(separator: ",") }

    package var description: String {
        let login = self.credentials.map { "\($0.user)%***@" } ?? ""
        return "iscsi://\(login)\(self.portal)/\(self.target)/\(self.lun)"
    }

    private static func decodePercent(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                value > 0x20
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// The initiator session identifier, RFC 3720 10.12.5. It is fixed per node and role: together with the initiator's name it
/// is the nexus that a registration belongs to, so it must be the same after a reconnect and differ between two sessions.
package struct ISID: Hashable, Sendable {
    package enum Role: UInt32, Sendable {
        /// Takes the fence, and then, in a session after that one, lunbridge's: the nexus that holds the reservation is the one that
        /// writes. LIO refuses any other of the same initiator name, registered or not (measured).
        case fence = 1
        case quorumDisk = 3
        case inspection = 4
        /// Lays a quorum disk out, beside the session that still uses the one before.
        case preparation = 5
    }

    /// 24 bits, in the format "random".
    package var random: UInt32
    package var qualifier: UInt16

    /// `path`: where a role has a session over each portal at the same time. Portals of one group share a nexus, and two sessions
    /// with one ISID would end each other.
    package init(node: UInt16, role: Role, path: Int = 0) {
        precondition(path < LUNAddress.maximumPortals)
        self.random = 0x484600 | UInt32(path) << 4 | role.rawValue
        self.qualifier = node
    }

    package init(random: UInt32, qualifier: UInt16) {
        self.random = random & 0xFFFFFF
        self.qualifier = qualifier
    }
}

/// Who logs in.
package struct Initiator: Hashable, Sendable {
    /// An iSCSI qualified name, unique per node: the target's access list knows it.
    package var name: String
    package var isid: ISID

    package init(name: String, isid: ISID) {
        self.name = name
        self.isid = isid
    }
}
