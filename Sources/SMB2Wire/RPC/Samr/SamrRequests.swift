/// The calls of the account manager that are served, [MS-SAMR] 3.1.5.
package enum SamrOperation {
    package static let connect: UInt16 = 0
    package static let closeHandle: UInt16 = 1
    package static let lookupDomain: UInt16 = 5
    package static let enumerateDomains: UInt16 = 6
    package static let openDomain: UInt16 = 7
    package static let queryInformationDomain: UInt16 = 8
    package static let enumerateGroups: UInt16 = 11
    package static let enumerateUsers: UInt16 = 13
    package static let enumerateAliases: UInt16 = 15
    package static let getAliasMembership: UInt16 = 16
    package static let lookupNames: UInt16 = 17
    package static let lookupIDs: UInt16 = 18
    package static let openGroup: UInt16 = 19
    package static let queryInformationGroup: UInt16 = 20
    package static let getMembersInGroup: UInt16 = 25
    package static let openAlias: UInt16 = 27
    package static let queryInformationAlias: UInt16 = 28
    package static let getMembersInAlias: UInt16 = 33
    package static let openUser: UInt16 = 34
    package static let queryInformationUser: UInt16 = 36
    package static let getGroupsForUser: UInt16 = 39
    package static let queryDisplayInformation: UInt16 = 40
    package static let queryInformationDomain2: UInt16 = 46
    package static let queryInformationUser2: UInt16 = 47
    package static let queryDisplayInformation2: UInt16 = 48
    package static let queryDisplayInformation3: UInt16 = 51
    package static let connect2: UInt16 = 57
    package static let connect4: UInt16 = 62
    package static let connect5: UInt16 = 64
    package static let ridToSid: UInt16 = 65
}

/// SamrConnect, 2, 4 and 5, [MS-SAMR] 3.1.5.1: what they ask for decides nothing, it must only be well-formed.
package enum SamrConnect {
    package static func check(operation: UInt16, parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        if try reader.pointer() {
            if operation == SamrOperation.connect { _ = try reader.uint16() } else { _ = try reader.string() }
        }
        _ = try reader.uint32()
        if operation == SamrOperation.connect4 { _ = try reader.uint32() }
        if operation == SamrOperation.connect5 {
            guard try reader.uint32() == 1, try reader.uint32() == 1 else { throw .invalidValue("SAMPR_REVISION_INFO") }
            _ = try reader.uint32()
            _ = try reader.uint32()
        }
    }

    package static func encode(operation: UInt16, server: String, into writer: inout NDRWriter) {
        writer.appendPointer(true)
        if operation == SamrOperation.connect {
            writer.append(UInt16(0x5C))
        } else {
            writer.append(string: server)
        }
        if operation == SamrOperation.connect4 { writer.append(UInt32(2)) }
        writer.append(UInt32(0x0200_0000))
        if operation == SamrOperation.connect5 {
            for value: UInt32 in [1, 1, 3, 0] { writer.append(value) }
        }
    }
}

/// SamrLookupDomainInSamServer, [MS-SAMR] 3.1.5.11.1.
package struct SamrLookupDomain: Equatable, Sendable {
    package var handle: RPCContextHandle
    package var name: String

    package init(handle: RPCContextHandle, name: String) {
        self.handle = handle
        self.name = name
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        self.name = try reader.unicodeString()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.appendHeader(unicode: self.name)
        writer.appendBody(unicode: self.name)
    }
}

/// SamrOpenDomain, [MS-SAMR] 3.1.5.1.5.
package struct SamrOpenDomain: Equatable, Sendable {
    package var handle: RPCContextHandle
    package var desiredAccess: UInt32
    package var sid: SID

    package init(handle: RPCContextHandle, desiredAccess: UInt32, sid: SID) {
        self.handle = handle
        self.desiredAccess = desiredAccess
        self.sid = sid
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        self.desiredAccess = try reader.uint32()
        self.sid = try reader.sid()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(self.desiredAccess)
        writer.append(self.sid)
    }
}

/// A handle and up to four numbers: the opens of users, groups and aliases, the enumerations, SamrRidToSid.
package struct SamrNumbersCall: Equatable, Sendable {
    package var handle: RPCContextHandle
    package var numbers: [UInt32]

    package init(handle: RPCContextHandle, numbers: [UInt32]) {
        self.handle = handle
        self.numbers = numbers
    }

    package init(parsing stub: RawSpan, count: Int) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        self.numbers = []
        for _ in 0..<count { self.numbers.append(try reader.uint32()) }
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        for number in self.numbers { writer.append(number) }
    }
}

/// SamrLookupNamesInDomain, [MS-SAMR] 3.1.5.11.2.
package struct SamrLookupNames: Equatable, Sendable {
    /// The size that the IDL gives the array.
    package static let maximumNames = 1000

    package var handle: RPCContextHandle
    package var names: [String]

    package init(handle: RPCContextHandle, names: [String]) {
        self.handle = handle
        self.names = names
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        let count = try reader.varyingCount(limit: Self.maximumNames, elementByteCount: 8)
        self.names = try reader.unicodeStrings(count)
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        for value in [self.names.count, Self.maximumNames, 0] { writer.append(UInt32(value)) }
        writer.append(unicodeStrings: self.names)
    }
}

/// SamrLookupIdsInDomain, [MS-SAMR] 3.1.5.11.3.
package struct SamrLookupIDs: Equatable, Sendable {
    package var handle: RPCContextHandle
    package var relativeIDs: [UInt32]

    package init(handle: RPCContextHandle, relativeIDs: [UInt32]) {
        self.handle = handle
        self.relativeIDs = relativeIDs
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        let count = try reader.varyingCount(limit: SamrLookupNames.maximumNames, elementByteCount: 4)
        self.relativeIDs = []
        for _ in 0..<count { self.relativeIDs.append(try reader.uint32()) }
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        for value in [self.relativeIDs.count, SamrLookupNames.maximumNames, 0, self.relativeIDs.count] {
            writer.append(UInt32(value))
        }
        for relativeID in self.relativeIDs { writer.append(relativeID) }
    }
}

extension NDRReader {
    /// A count, and the head of a conformant and varying array of as many elements.
    fileprivate mutating func varyingCount(limit: Int, elementByteCount: Int) throws(WireError) -> Int {
        let count = try self.uint32()
        let maximum = try self.uint32()
        guard try self.uint32() == 0 else { throw .invalidValue("NDR array offset") }
        let actual = try self.count(limit: limit, elementByteCount: elementByteCount)
        guard count == UInt32(actual), count <= maximum else { throw .invalidValue("NDR array") }
        return actual
    }
}

/// SamrGetAliasMembership, [MS-SAMR] 3.1.5.9.2: SAMPR_PSID_ARRAY, 2.2.3.6.
package struct SamrGetAliasMembership: Equatable, Sendable {
    package static let maximumSids = 1024

    package var handle: RPCContextHandle
    package var sids: [SID]

    package init(handle: RPCContextHandle, sids: [SID]) {
        self.handle = handle
        self.sids = sids
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        let count = try reader.uint32()
        self.sids = []
        guard try reader.pointer() else {
            guard count == 0 else { throw .invalidValue("SAMPR_PSID_ARRAY") }
            return
        }
        let size = try reader.count(limit: Self.maximumSids, elementByteCount: 4)
        guard count == UInt32(size) else { throw .invalidValue("SAMPR_PSID_ARRAY") }
        for _ in 0..<size {
            guard try reader.pointer() else { throw .invalidValue("SAMPR_PSID_ARRAY without a SID") }
        }
        for _ in 0..<size { self.sids.append(try reader.sid()) }
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(UInt32(self.sids.count))
        writer.appendPointer(true)
        writer.append(UInt32(self.sids.count))
        for _ in self.sids { writer.appendPointer(true) }
        for sid in self.sids { writer.append(sid) }
    }
}

/// SamrQueryDisplayInformation, 2 and 3, [MS-SAMR] 3.1.5.3.
package struct SamrQueryDisplay: Equatable, Sendable {
    package var handle: RPCContextHandle
    /// DOMAIN_DISPLAY_INFORMATION, [MS-SAMR] 2.2.8.12: 1 users, 2 machines, 3 groups.
    package var level: UInt16
    package var index: UInt32
    package var entryCount: UInt32
    package var preferredByteCount: UInt32

    package init(
        handle: RPCContextHandle, level: UInt16, index: UInt32, entryCount: UInt32, preferredByteCount: UInt32
    ) {
        self.handle = handle
        self.level = level
        self.index = index
        self.entryCount = entryCount
        self.preferredByteCount = preferredByteCount
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        self.level = try reader.uint16()
        self.index = try reader.uint32()
        self.entryCount = try reader.uint32()
        self.preferredByteCount = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(self.level)
        writer.append(self.index)
        writer.append(self.entryCount)
        writer.append(self.preferredByteCount)
    }
}
