/// Which names an administrator may give. Refused at the command, before anything is replicated.
package enum Names {
    /// A NetBIOS name without its type byte; the cluster's name is the server's name.
    package static let longestNetBIOSName = 15
    /// A DNS label (RFC 1035 §2.3.4).
    package static let longestNodeName = 63
    /// [MS-SRVS] 2.2.4.22 and Windows' own limit.
    package static let longestShareName = 80
    /// [MS-SAMR]: sAMAccountName of a user.
    package static let longestUserName = 20

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isLabel(_ name: String, longest: Int) -> Bool {
        let bytes = Array(name.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= longest else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(last) && bytes.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D }
    }

    /// nil when the name is good, else what is wrong with it.
    package static func problem(clusterName name: String) -> String? {
        isLabel(name, longest: Self.longestNetBIOSName)
            ? nil
            : "the cluster name \"\(name)\" must have 1 to \(Self.longestNetBIOSName) letters, digits and hyphens, and "
                + "begin and end with a letter or digit"
    }

    package static func problem(nodeName name: String) -> String? {
        isLabel(name, longest: Self.longestNodeName)
            ? nil
            : "the node name \"\(name)\" must have 1 to \(Self.longestNodeName) letters, digits and hyphens, and begin "
                + "and end with a letter or digit"
    }

    private static func hasForbidden(_ name: String, _ forbidden: String) -> Bool {
        name.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F || forbidden.unicodeScalars.contains($0) }
    }

    package static func problem(shareName name: String) -> String? {
        guard (1...Self.longestShareName).contains(name.utf16.count), !self.hasForbidden(name, "\"/\\[]:|<>+=;,*?"),
            !name.hasPrefix(" "), !name.hasSuffix(" ")
        else {
            return "the share name \"\(name)\" must have 1 to \(Self.longestShareName) characters and none of "
                + "\" / \\ [ ] : | < > + = ; , * ?"
        }
        guard !["IPC$", "GLOBAL", "PRINT$"].contains(name.uppercased()) else {
            return "the share name \"\(name)\" is reserved"
        }
        return nil
    }

    /// Relative to the file system's root, never out of it.
    package static func problem(sharePath path: String) -> String? {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, path.utf8.count <= 1024,
            components.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) })
        else {
            return
                "the share's path \"\(path)\" must be relative to the LUN's root, without empty parts, \".\" or \"..\""
        }
        guard components.first?.lowercased() != ".holdfast" else {
            return "the folder .holdfast in the LUN's root is Holdfast's own: it holds the snapshots"
        }
        return nil
    }

    package static func problem(userName name: String) -> String? {
        guard (1...Self.longestUserName).contains(name.utf16.count), !self.hasForbidden(name, "\"/\\[]:;|=,+*?<>@"),
            !name.hasPrefix(" "), !name.hasSuffix(" "), !name.hasSuffix(".")
        else {
            return "the user name \"\(name)\" must have 1 to \(Self.longestUserName) characters and none of "
                + "\" / \\ [ ] : ; | = , + * ? < > @"
        }
        return nil
    }

    /// Of credentials: also part of a DNS name in their certificate.
    package static func problem(credentialName name: String) -> String? {
        guard (1...32).contains(name.utf8.count),
            name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
        else { return "the name \"\(name)\" of credentials must have 1 to 32 of a to z, 0 to 9 and hyphens" }
        return nil
    }

    /// `host:port`; an IPv6 host stands in brackets.
    package static func problem(nodeAddress address: String) -> String? {
        guard Self.splitAddress(address) != nil else {
            return "the address \"\(address)\" must have the form HOST:PORT, for example 10.77.0.11:7420"
        }
        return nil
    }

    package static func splitAddress(_ address: String) -> (host: String, port: Int)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        return host.isEmpty || host.contains(" ") ? nil : (String(host), port)
    }
}
