/// Answers of the account manager, [MS-SAMR] 2.2. Each ends with the call's status.
extension NDRWriter {
    /// A pointer to SAMPR_ENUMERATION_BUFFER, 2.2.3.10, between the context to go on with and the count.
    package mutating func appendEnumeration(
        _ entries: [(relativeID: UInt32, name: String)], context: UInt32, status: NTStatus
    ) {
        self.append(context)
        self.appendPointer(true)
        self.append(UInt32(entries.count))
        self.appendPointer(!entries.isEmpty)
        if !entries.isEmpty {
            self.append(UInt32(entries.count))
            for entry in entries {
                self.append(entry.relativeID)
                self.appendHeader(unicode: entry.name)
            }
            for entry in entries { self.appendBody(unicode: entry.name) }
        }
        self.append(UInt32(entries.count))
        self.append(status)
    }

    /// SAMPR_ULONG_ARRAY, 2.2.7.4.
    package mutating func append(numbers: [UInt32]) {
        self.append(UInt32(numbers.count))
        self.appendPointer(!numbers.isEmpty)
        guard !numbers.isEmpty else { return }
        self.append(UInt32(numbers.count))
        for number in numbers { self.append(number) }
    }

    /// SAMPR_RETURNED_USTRING_ARRAY, 2.2.7.7; nil where there is no name.
    package mutating func append(returnedNames names: [String?]) {
        self.append(UInt32(names.count))
        self.appendPointer(!names.isEmpty)
        guard !names.isEmpty else { return }
        self.append(UInt32(names.count))
        for name in names { self.appendHeader(unicode: name) }
        for name in names { self.appendBody(unicode: name) }
    }

    /// A pointer to a SID that is a parameter.
    package mutating func append(uniqueSID sid: SID?) {
        self.appendPointer(sid != nil)
        if let sid { self.append(sid) }
    }

    /// SAMPR_PSID_ARRAY_OUT, 2.2.3.7.
    package mutating func append(sids: [SID]) {
        self.append(UInt32(sids.count))
        self.appendPointer(!sids.isEmpty)
        guard !sids.isEmpty else { return }
        self.append(UInt32(sids.count))
        for _ in sids { self.appendPointer(true) }
        for sid in sids { self.append(sid) }
    }

    /// SE_GROUP_MANDATORY, ENABLED_BY_DEFAULT, ENABLED: 2.2.1.9.
    package static let groupAttributes: UInt32 = 7

    /// A pointer to SAMPR_GET_GROUPS_BUFFER, 2.2.7.15.
    package mutating func append(groups: [UInt32]) {
        self.appendPointer(true)
        self.append(UInt32(groups.count))
        self.appendPointer(true)
        self.append(UInt32(groups.count))
        for group in groups {
            self.append(group)
            self.append(Self.groupAttributes)
        }
    }

    /// A pointer to SAMPR_GET_MEMBERS_BUFFER, 2.2.7.14.
    package mutating func append(members: [UInt32]) {
        self.appendPointer(true)
        self.append(UInt32(members.count))
        self.appendPointer(!members.isEmpty)
        self.appendPointer(!members.isEmpty)
        guard !members.isEmpty else { return }
        self.append(UInt32(members.count))
        for member in members { self.append(member) }
        self.append(UInt32(members.count))
        for _ in members { self.append(Self.groupAttributes) }
    }
}

/// A user as SAMR shows it. Of times and passwords nothing is told: "never" and "none kept".
package struct SamrUser: Equatable, Sendable {
    /// USER_NORMAL_ACCOUNT and USER_DONT_EXPIRE_PASSWORD, [MS-SAMR] 2.2.1.12.
    package static let accountControl: UInt32 = 0x0000_0210
    private static let never: UInt64 = 0x7FFF_FFFF_FFFF_FFFF
    /// The fields of USER_ALL that are filled in, [MS-SAMR] 2.2.1.8: names, ids, account control, times.
    private static let whichFields: UInt32 = 0x00FF_FFFF

    package var name: String
    package var relativeID: UInt32
    package var primaryGroup: UInt32

    package init(name: String, relativeID: UInt32, primaryGroup: UInt32) {
        self.name = name
        self.relativeID = relativeID
        self.primaryGroup = primaryGroup
    }

    /// A pointer to SAMPR_USER_INFO_BUFFER, 2.2.6.29, and the status.
    package func answer(level: UInt16, into writer: inout NDRWriter) {
        guard [1, 6, 7, 8, 9, 13, 16, 17, 21].contains(level) else {
            writer.appendPointer(false)
            writer.append(NTStatus.invalidInfoClass)
            return
        }
        writer.appendPointer(true)
        writer.append(level)
        switch level {
        case 1:
            writer.appendHeader(unicode: self.name)
            writer.appendHeader(unicode: "")
            writer.append(self.primaryGroup)
            writer.appendHeader(unicode: "")
            writer.appendHeader(unicode: "")
            for text in [self.name, "", "", ""] { writer.appendBody(unicode: text) }
        case 6:
            writer.appendHeader(unicode: self.name)
            writer.appendHeader(unicode: "")
            for text in [self.name, ""] { writer.appendBody(unicode: text) }
        case 7, 8, 13:
            let text = level == 7 ? self.name : ""
            writer.appendHeader(unicode: text)
            writer.appendBody(unicode: text)
        case 9: writer.append(self.primaryGroup)
        case 16: writer.append(Self.accountControl)
        case 17: writer.append(halves: Self.never)
        default: self.appendAll(into: &writer)
        }
        writer.append(NTStatus.success)
    }

    /// SAMPR_USER_ALL_INFORMATION, 2.2.6.6.
    private func appendAll(into writer: inout NDRWriter) {
        // Last logon, last logoff, password last set; account expires; password can and must change.
        for time in [0, 0, 0, Self.never, 0, Self.never] { writer.append(halves: time) }
        let texts = [self.name] + [String](repeating: "", count: 9)
        for text in texts { writer.appendHeader(unicode: text) }
        // LM and NT hash: empty, and nobody's.
        writer.appendHeader(unicode: nil)
        writer.appendHeader(unicode: nil)
        writer.appendHeader(unicode: nil)  // private data
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(self.relativeID)
        writer.append(self.primaryGroup)
        writer.append(Self.accountControl)
        writer.append(Self.whichFields)
        writer.append(UInt16(168))
        writer.appendPointer(true)
        for value: UInt16 in [0, 0, 0, 0] { writer.append(value) }
        writer.append(bytes: [0, 0, 0, 0])
        for text in texts { writer.appendBody(unicode: text) }
        // Logon hours, 2.2.6.5: every one of the week's.
        for value: UInt32 in [1260, 0, 21] { writer.append(value) }
        writer.append(bytes: [UInt8](repeating: 0xFF, count: 21))
    }
}

/// A group or an alias, [MS-SAMR] 2.2.4, 2.2.5.
package struct SamrGroup: Equatable, Sendable {
    package var name: String
    package var members: UInt32
    package var isAlias: Bool

    package init(name: String, members: UInt32, isAlias: Bool) {
        self.name = name
        self.members = members
        self.isAlias = isAlias
    }

    package func answer(level: UInt16, into writer: inout NDRWriter) {
        guard (1...(self.isAlias ? 3 : 4)).contains(level) else {
            writer.appendPointer(false)
            writer.append(NTStatus.invalidInfoClass)
            return
        }
        writer.appendPointer(true)
        writer.append(level)
        if level == 1 {
            writer.appendHeader(unicode: self.name)
            if !self.isAlias { writer.append(NDRWriter.groupAttributes) }
            writer.append(self.members)
            writer.appendHeader(unicode: "")
            writer.appendBody(unicode: self.name)
            writer.appendBody(unicode: "")
        } else if level == 3, !self.isAlias {
            writer.append(NDRWriter.groupAttributes)
        } else {
            let text = level == 2 ? self.name : ""
            writer.appendHeader(unicode: text)
            writer.appendBody(unicode: text)
        }
        writer.append(NTStatus.success)
    }
}

/// A domain, [MS-SAMR] 2.2.3.
package struct SamrDomain: Equatable, Sendable {
    package var name: String
    package var users: UInt32
    package var groups: UInt32
    package var aliases: UInt32

    package init(name: String, users: UInt32, groups: UInt32, aliases: UInt32) {
        self.name = name
        self.users = users
        self.groups = groups
        self.aliases = aliases
    }

    /// "Never", as a relative time.
    private static let forever: UInt64 = 0x8000_0000_0000_0000

    package func answer(level: UInt16, into writer: inout NDRWriter) {
        guard [1, 2, 3, 4, 5, 6, 7, 8, 9].contains(level) else {
            writer.appendPointer(false)
            writer.append(NTStatus.invalidInfoClass)
            return
        }
        writer.appendPointer(true)
        writer.append(level)
        switch level {
        case 1:
            // No least length, no history, no properties; passwords never expire and may change at any time.
            writer.append(UInt16(0))
            writer.append(UInt16(0))
            writer.append(UInt32(0))
            writer.append(halves: Self.forever)
            writer.append(halves: 0)
        case 2:
            writer.append(halves: Self.forever)
            for text in ["", self.name, ""] { writer.appendHeader(unicode: text) }
            writer.append(halves: 1)
            writer.append(UInt32(1))  // DomainServerEnabled
            writer.append(UInt32(3))  // DomainServerRolePrimary
            writer.append(UInt8(0))
            for count in [self.users, self.groups, self.aliases] { writer.append(count) }
            for text in ["", self.name, ""] { writer.appendBody(unicode: text) }
        case 3: writer.append(halves: Self.forever)
        case 4, 5, 6:
            let text = level == 5 ? self.name : ""
            writer.appendHeader(unicode: text)
            writer.appendBody(unicode: text)
        case 7: writer.append(UInt16(3))
        case 8:
            writer.append(halves: 1)
            writer.append(halves: 0)
        default: writer.append(UInt16(1))
        }
        writer.append(NTStatus.success)
    }
}

/// The lists of SamrQueryDisplayInformation, [MS-SAMR] 2.2.8.
package enum SamrDisplay {
    package static func answer(
        level: UInt16, _ entries: [(relativeID: UInt32, name: String)], from index: Int, total: Int, status: NTStatus,
        into writer: inout NDRWriter
    ) {
        writer.append(UInt32(clamping: total))
        writer.append(UInt32(entries.count))
        writer.append(level)
        writer.append(UInt32(entries.count))
        writer.appendPointer(!entries.isEmpty)
        if !entries.isEmpty {
            writer.append(UInt32(entries.count))
            for (position, entry) in entries.enumerated() {
                writer.append(UInt32(index + position + 1))
                writer.append(entry.relativeID)
                writer.append(level == 3 ? NDRWriter.groupAttributes : SamrUser.accountControl)
                writer.appendHeader(unicode: entry.name)
                writer.appendHeader(unicode: "")
                if level == 1 { writer.appendHeader(unicode: "") }
            }
            for entry in entries {
                writer.appendBody(unicode: entry.name)
                writer.appendBody(unicode: "")
                if level == 1 { writer.appendBody(unicode: "") }
            }
        }
        writer.append(status)
    }
}
