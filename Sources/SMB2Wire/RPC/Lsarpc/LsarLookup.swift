/// The calls of the local security authority that are served, [MS-LSAT] 3.1.4 and [MS-LSAD] 3.1.4.
package enum LsarOperation {
    package static let close: UInt16 = 0
    package static let openPolicy: UInt16 = 6
    package static let queryInformationPolicy: UInt16 = 7
    package static let enumerateAccounts: UInt16 = 11
    package static let enumerateTrustedDomains: UInt16 = 13
    package static let lookupNames: UInt16 = 14
    package static let lookupSids: UInt16 = 15
    package static let openPolicy2: UInt16 = 44
    package static let getUserName: UInt16 = 45
    package static let queryInformationPolicy2: UInt16 = 46
    package static let lookupSids2: UInt16 = 57
    package static let lookupNames2: UInt16 = 58
    package static let lookupNames3: UInt16 = 68
    package static let lookupSids3: UInt16 = 76
    package static let lookupNames4: UInt16 = 77
}

/// SID_NAME_USE, [MS-LSAT] 2.2.13.
package enum SIDNameUse: UInt16, Sendable {
    case user = 1
    case group = 2
    case domain = 3
    case alias = 4
    case wellKnownGroup = 5
    case deletedAccount = 6
    case invalid = 7
    case unknown = 8
    case computer = 9
    case label = 10
}

/// LsarLookupNames, 2 and 3, [MS-LSAT] 3.1.4.8, .7, .6. What stands behind the names (a buffer for the answer, options,
/// the client's revision) is ignored, as the specification says.
package struct LsarLookupNames: Equatable, Sendable {
    /// The range of the IDL.
    package static let maximumNames = 1000

    package var handle: RPCContextHandle
    package var names: [String]
    /// LSAP_LOOKUP_LEVEL, [MS-LSAT] 2.2.16.
    package var level: UInt16

    package init(handle: RPCContextHandle, names: [String], level: UInt16 = 1) {
        self.handle = handle
        self.names = names
        self.level = level
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        let count = try reader.uint32()
        let size = try reader.count(limit: Self.maximumNames, elementByteCount: 8)
        guard count == UInt32(size) else { throw .invalidValue("LsarLookupNames count") }
        self.names = try reader.unicodeStrings(size)
        // An empty LSAPR_TRANSLATED_SIDS on the way in.
        _ = try reader.uint32()
        guard try !reader.pointer() else { throw .invalidValue("LSAPR_TRANSLATED_SIDS with entries") }
        self.level = try reader.uint16()
        _ = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(UInt32(self.names.count))
        writer.append(unicodeStrings: self.names)
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(self.level)
        writer.append(UInt32(0))
    }
}

/// LsarLookupSids and 2, [MS-LSAT] 3.1.4.11, .10; what stands behind the SIDs is ignored likewise.
package struct LsarLookupSids: Equatable, Sendable {
    /// The IDL allows 20480; a call's stub ends before that (`PipeEndpoint.maximumStubByteCount`).
    package static let maximumSids = 20_480

    package var handle: RPCContextHandle
    package var sids: [SID]
    package var level: UInt16

    package init(handle: RPCContextHandle, sids: [SID], level: UInt16 = 1) {
        self.handle = handle
        self.sids = sids
        self.level = level
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        let count = try reader.uint32()
        self.sids = []
        if try reader.pointer() {
            let size = try reader.count(limit: Self.maximumSids, elementByteCount: 4)
            guard count == UInt32(size) else { throw .invalidValue("LSAPR_SID_ENUM_BUFFER") }
            for _ in 0..<size {
                guard try reader.pointer() else { throw .invalidValue("LSAPR_SID_INFORMATION without a SID") }
            }
            for _ in 0..<size { self.sids.append(try reader.sid()) }
        } else if count != 0 {
            throw .invalidValue("LSAPR_SID_ENUM_BUFFER")
        }
        _ = try reader.uint32()
        guard try !reader.pointer() else { throw .invalidValue("LSAPR_TRANSLATED_NAMES with entries") }
        self.level = try reader.uint16()
        _ = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(UInt32(self.sids.count))
        writer.appendPointer(!self.sids.isEmpty)
        if !self.sids.isEmpty {
            writer.append(UInt32(self.sids.count))
            for _ in self.sids { writer.appendPointer(true) }
            for sid in self.sids { writer.append(sid) }
        }
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(self.level)
        writer.append(UInt32(0))
    }
}

/// What a lookup found, in the order of what was asked, and the domains that the findings lie in.
package struct LsarTranslation: Equatable, Sendable {
    package struct Domain: Equatable, Sendable {
        package var name: String
        package var sid: SID

        package init(name: String, sid: SID) {
            self.name = name
            self.sid = sid
        }
    }

    package struct Entry: Equatable, Sendable {
        package var use: SIDNameUse
        /// What names the account: the textual SID where nothing else does.
        package var name: String
        /// Nil where nothing was found.
        package var sid: SID?
        /// In `domains`; -1: in none.
        package var domain: Int

        package init(use: SIDNameUse, name: String, sid: SID?, domain: Int) {
            self.use = use
            self.name = name
            self.sid = sid
            self.domain = domain
        }
    }

    package var domains: [Domain] = []
    package var entries: [Entry] = []

    package init() {}

    package var mapped: Int { self.entries.count { $0.use != .unknown } }

    /// [MS-LSAT] 3.1.4.5, 3.1.4.9.
    package var status: NTStatus {
        if self.mapped == self.entries.count { return .success }
        return self.mapped == 0 ? .noneMapped : .someNotMapped
    }

    /// The forms of an answer: each revision of the calls added fields, [MS-LSAT] 2.2.15 to 2.2.27.
    package enum Form: Sendable {
        case sids, sidsEx, sidsEx2, names, namesEx
    }

    package func answer(_ form: Form, into writer: inout NDRWriter) {
        self.appendDomains(into: &writer)
        writer.append(UInt32(self.entries.count))
        writer.appendPointer(!self.entries.isEmpty)
        if !self.entries.isEmpty {
            writer.append(UInt32(self.entries.count))
            for entry in self.entries { self.append(entry, form, into: &writer) }
            for entry in self.entries {
                switch form {
                case .sids, .sidsEx: break
                case .sidsEx2: if let sid = entry.sid { writer.append(sid) }
                case .names, .namesEx: writer.appendBody(unicode: entry.name)
                }
            }
        }
        writer.append(UInt32(self.mapped))
        writer.append(self.status)
    }

    private func append(_ entry: Entry, _ form: Form, into writer: inout NDRWriter) {
        writer.append(entry.use.rawValue)
        switch form {
        case .sids, .sidsEx:
            // A domain has no relative identifier.
            let relative = entry.use == .domain ? nil : entry.sid?.subAuthorities.last
            writer.append(relative ?? (entry.use == .domain ? UInt32.max : 0))
        case .sidsEx2: writer.appendPointer(entry.sid != nil)
        case .names, .namesEx: writer.appendHeader(unicode: entry.name)
        }
        writer.append(UInt32(bitPattern: Int32(entry.domain)))
        switch form {
        case .sids, .names: break
        case .sidsEx, .sidsEx2, .namesEx: writer.append(UInt32(0))
        }
    }

    /// A pointer to LSAPR_REFERENCED_DOMAIN_LIST, [MS-LSAT] 2.2.12.
    private func appendDomains(into writer: inout NDRWriter) {
        writer.appendPointer(true)
        writer.append(UInt32(self.domains.count))
        writer.appendPointer(!self.domains.isEmpty)
        // MaxEntries: any value, ignored.
        writer.append(UInt32(32))
        guard !self.domains.isEmpty else { return }
        writer.append(UInt32(self.domains.count))
        for domain in self.domains {
            writer.appendHeader(unicode: domain.name)
            writer.appendPointer(true)
        }
        for domain in self.domains {
            writer.appendBody(unicode: domain.name)
            writer.append(domain.sid)
        }
    }

    /// A lookup that did not take place: no domains, no entries.
    package static func refuse(_ status: NTStatus, into writer: inout NDRWriter) {
        writer.appendPointer(false)
        writer.append(UInt32(0))
        writer.appendPointer(false)
        writer.append(UInt32(0))
        writer.append(status)
    }
}

/// LsarGetUserName, [MS-LSAT] 3.1.4.4. The domain's name is a pointer to a pointer: the client says whether it wants it.
package struct LsarGetUserName: Equatable, Sendable {
    package var wantsDomain: Bool

    package init(wantsDomain: Bool) { self.wantsDomain = wantsDomain }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        if try reader.pointer() { _ = try reader.unicodeString() }
        self.wantsDomain = try reader.pointer()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.append(uniqueString: server)
        writer.appendPointer(false)
        writer.appendPointer(self.wantsDomain)
        if self.wantsDomain { writer.appendPointer(false) }
    }

    package func answer(user: String, domain: String, into writer: inout NDRWriter) {
        writer.appendPointer(true)
        writer.appendHeader(unicode: user)
        writer.appendBody(unicode: user)
        writer.appendPointer(self.wantsDomain)
        if self.wantsDomain {
            writer.appendPointer(true)
            writer.appendHeader(unicode: domain)
            writer.appendBody(unicode: domain)
        }
        writer.append(NTStatus.success)
    }
}
