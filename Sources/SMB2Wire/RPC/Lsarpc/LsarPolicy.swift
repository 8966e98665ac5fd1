/// LsarOpenPolicy and 2, [MS-LSAD] 3.1.4.4.2, .1. Of the object attributes none has a meaning; a root directory is
/// refused by the specification, a name and a descriptor by us.
package struct LsarOpenPolicy: Equatable, Sendable {
    package var desiredAccess: UInt32

    package init(desiredAccess: UInt32) { self.desiredAccess = desiredAccess }

    /// - Parameter hasName: LsarOpenPolicy2 sends the server's name as a string, LsarOpenPolicy one character of it.
    package init(parsing stub: RawSpan, hasName: Bool) throws(WireError) {
        var reader = NDRReader(stub)
        if try reader.pointer() {
            if hasName { _ = try reader.string() } else { _ = try reader.uint16() }
        }
        _ = try reader.uint32()
        guard try !reader.pointer(), try !reader.pointer() else { throw .invalidValue("LSAPR_OBJECT_ATTRIBUTES") }
        _ = try reader.uint32()
        guard try !reader.pointer() else { throw .invalidValue("LSAPR_OBJECT_ATTRIBUTES") }
        if try reader.pointer() {
            // SECURITY_QUALITY_OF_SERVICE: length, impersonation level, tracking mode, effective only.
            _ = try reader.uint32()
            _ = try reader.uint16()
            _ = try reader.uint16()
        }
        self.desiredAccess = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.append(uniqueString: server)
        writer.append(UInt32(24))
        for _ in 0..<4 { writer.append(UInt32(0)) }
        writer.appendPointer(true)
        writer.append(UInt32(12))
        writer.append(UInt16(2))
        writer.append(UInt16(1))
        writer.append(self.desiredAccess)
    }
}

/// What LsarQueryInformationPolicy and 2 answer, [MS-LSAD] 3.1.4.4.4, .3.
package enum LsarPolicyInformation: Equatable, Sendable {
    package static let auditEventsLevel: UInt16 = 2
    package static let primaryDomainLevel: UInt16 = 3
    package static let accountDomainLevel: UInt16 = 5
    package static let serverRoleLevel: UInt16 = 6
    package static let dnsDomainLevel: UInt16 = 12
    package static let dnsDomainIntLevel: UInt16 = 13
    package static let localAccountDomainLevel: UInt16 = 14

    /// [MS-LSAD] 2.2.4.5, 2.2.4.6: a domain's name and SID. A server without a domain has a work group's name and no SID.
    case domain(level: UInt16, name: String, sid: SID?)
    /// [MS-LSAD] 2.2.4.14.
    case dnsDomain(level: UInt16, name: String, sid: SID?)
    /// [MS-LSAD] 2.2.4.7: PolicyServerRolePrimary.
    case serverRole

    package func answer(into writer: inout NDRWriter) {
        writer.appendPointer(true)
        switch self {
        case .domain(let level, let name, let sid):
            writer.append(level)
            writer.appendHeader(unicode: name)
            writer.appendPointer(sid != nil)
            writer.appendBody(unicode: name)
            if let sid { writer.append(sid) }
        case .dnsDomain(let level, let name, let sid):
            writer.append(level)
            writer.appendHeader(unicode: name)
            writer.appendHeader(unicode: "")
            writer.appendHeader(unicode: "")
            // The domain's GUID is aligned like a long.
            writer.align(to: 4)
            writer.append(bytes: [UInt8](repeating: 0, count: GUID.byteCount))
            writer.appendPointer(sid != nil)
            writer.appendBody(unicode: name)
            writer.appendBody(unicode: "")
            writer.appendBody(unicode: "")
            if let sid { writer.append(sid) }
        case .serverRole:
            writer.append(Self.serverRoleLevel)
            writer.append(UInt16(3))
        }
        writer.append(NTStatus.success)
    }
}
