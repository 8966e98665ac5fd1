import SMB2Wire
import SMBServerCore
import Testing

private let domain: (UInt32, UInt32, UInt32) = (1, 2, 3)
private let alice = SID(5, [21, 1, 2, 3, 1000])
private let bob = SID(5, [21, 1, 2, 3, 1001])
private let user = SecurityToken(user: alice, domain: domain, isAdministrator: false)
private let administrator = SecurityToken(user: alice, domain: domain, isAdministrator: true)

private func allow(_ mask: AccessMask, _ sid: SID, _ flags: ACE.Flags = []) -> ACE {
    ACE(kind: .accessAllowed, flags: flags, mask: mask, sid: sid)
}
private func deny(_ mask: AccessMask, _ sid: SID, _ flags: ACE.Flags = []) -> ACE {
    ACE(kind: .accessDenied, flags: flags, mask: mask, sid: sid)
}
private func descriptor(_ entries: [ACE]?, owner: SID = bob, _ control: SecurityDescriptor.Control = .daclPresent)
    -> SecurityDescriptor
{
    SecurityDescriptor(control: control, owner: owner, group: nil, dacl: entries.map { ACL(entries: $0) })
}

/// [MS-DTYP] 2.5.3.2.
@Suite struct AccessCheckTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var entries: [ACE]?
        var owner = bob
        var token = user
        var asked = AccessMask.fileAll
        var forBackup = false
        var granted: AccessMask
    }

    static let readWrite: AccessMask = [.readData, .writeData]
    static let cases: [Case] = [
        Case(testDescription: "no list grants everything", entries: nil, granted: .fileAll),
        Case(testDescription: "an empty list grants nothing", entries: [], granted: []),
        Case(
            testDescription: "except to the owner", entries: [], owner: alice, granted: [.readControl, .writeDAC]),
        Case(testDescription: "the user", entries: [allow(.readData, alice)], granted: .readData),
        Case(testDescription: "somebody else", entries: [allow(.readData, bob)], granted: []),
        Case(testDescription: "everyone", entries: [allow(.readData, .everyone)], granted: .readData),
        Case(
            testDescription: "authenticated users", entries: [allow(.readData, .authenticatedUsers)],
            granted: .readData),
        Case(
            testDescription: "network", entries: [deny(.readData, .network), allow(.fileAll, alice)],
            granted: AccessMask.fileAll.subtracting(.readData)),
        Case(
            testDescription: "administrators, not being one", entries: [allow(.fileAll, .administrators)], granted: []),
        Case(
            testDescription: "administrators, being one", entries: [allow(.fileAll, .administrators)],
            token: administrator, granted: .fileAll),
        Case(
            testDescription: "denied before allowed", entries: [deny(.writeData, alice), allow(Self.readWrite, alice)],
            granted: .readData),
        Case(
            testDescription: "allowed before denied: the order decides",
            entries: [allow(Self.readWrite, alice), deny(.writeData, alice)], granted: Self.readWrite),
        Case(
            testDescription: "through several entries",
            entries: [allow(.readData, .everyone), allow(.writeData, alice)],
            granted: Self.readWrite),
        Case(
            testDescription: "entries that are only passed on",
            entries: [deny(.fileAll, alice, .inheritOnly), allow(.readData, alice)], granted: .readData),
        Case(
            testDescription: "generic rights", entries: [allow(.genericRead, alice)], granted: .fileGenericRead),
        Case(
            testDescription: "the owner may not be denied the list",
            entries: [deny(.writeDAC, alice)], owner: alice, granted: [.readControl, .writeDAC]),
        Case(
            testDescription: "a group of the token may be the owner", entries: [], owner: .administrators,
            token: administrator, granted: [.readControl, .writeDAC, .writeOwner]),
        Case(
            testDescription: "OWNER RIGHTS replaces what the owner has", entries: [allow(.readData, .ownerRights)],
            owner: alice, granted: .readData),
        Case(
            testDescription: "OWNER RIGHTS is the owner's alone", entries: [allow(.readData, .ownerRights)],
            granted: []),
        Case(
            testDescription: "OWNER RIGHTS that are only passed on say nothing here",
            entries: [allow(.readData, .ownerRights, .inheritOnly)], owner: alice,
            granted: [.readControl, .writeDAC]),
        Case(
            testDescription: "OWNER RIGHTS denied",
            entries: [deny(.writeDAC, .ownerRights), allow(.fileAll, alice)], owner: alice,
            granted: AccessMask.fileAll.subtracting(.writeDAC)),
        Case(testDescription: "CREATOR OWNER is nobody", entries: [allow(.fileAll, .creatorOwner)], granted: []),
        Case(
            testDescription: "conditional grants are passed over",
            entries: [ACE(kind: .accessAllowedCallback, mask: .fileAll, sid: alice)], granted: []),
        Case(
            testDescription: "conditional denials deny",
            entries: [ACE(kind: .accessDeniedCallback, mask: .readData, sid: alice), allow(Self.readWrite, alice)],
            granted: .writeData),
        Case(
            testDescription: "audit lists are nobody's by a list", entries: nil,
            asked: [.accessSystemSecurity, .readData], granted: .readData),
        Case(
            testDescription: "audit lists are the administrators'", entries: [], token: administrator,
            asked: [.accessSystemSecurity, .readData], granted: .accessSystemSecurity),
        Case(
            testDescription: "administrators take ownership", entries: [], token: administrator,
            asked: [.writeOwner, .writeDAC], granted: .writeOwner),
        Case(
            testDescription: "a backup by an ordinary user", entries: [], forBackup: true, granted: []),
        Case(
            testDescription: "a backup by an administrator", entries: [], token: administrator, forBackup: true,
            granted: AccessMask.fileAll.subtracting(.deleteChild)),
    ]

    @Test(arguments: Self.cases)
    func whatIsGranted(_ test: Case) {
        let granted = AccessCheck.granted(
            test.asked, by: descriptor(test.entries, owner: test.owner), to: test.token, forBackup: test.forBackup)
        #expect(granted == test.granted)
        // A part of the question gets the same part of the answer.
        for bit in 0..<25 {
            let single = AccessMask(rawValue: 1 << UInt32(bit)).intersection(test.asked)
            let alone = AccessCheck.granted(
                single, by: descriptor(test.entries, owner: test.owner), to: test.token, forBackup: test.forBackup)
            #expect(alone == granted.intersection(single))
        }
    }

    /// A list that the control bits do not speak of is none. [MS-DTYP] 2.4.6.
    @Test func aListThatIsNotPresentIsNoList() {
        var absent = descriptor([])
        absent.control.remove(.daclPresent)
        #expect(AccessCheck.granted(.fileAll, by: absent, to: user) == .fileAll)
    }

    @Test func whoMayBecomeOwner() {
        #expect(user.mayAssign(owner: alice))
        #expect(!user.mayAssign(owner: bob))
        #expect(!user.mayAssign(owner: .everyone))
        #expect(!user.mayAssign(owner: .administrators))
        #expect(administrator.mayAssign(owner: .administrators))
        #expect(administrator.mayAssign(owner: bob))
    }
}

/// [MS-DTYP] 2.5.3.4.
@Suite struct InheritanceTests {
    private static let both: ACE.Flags = [.objectInherit, .containerInherit]

    private func child(
        of entries: [ACE]?, isDirectory: Bool, explicit: SecurityDescriptor? = nil,
        _ control: SecurityDescriptor.Control = .daclPresent, by token: SecurityToken = user
    ) throws -> SecurityDescriptor {
        try Inheritance.descriptor(
            parent: descriptor(entries, control), explicit: explicit, isDirectory: isDirectory, creator: token)
    }

    struct Case: Sendable {
        var parent: ACE.Flags
        var file: ACE.Flags?
        var directory: ACE.Flags?
    }

    static let flags: [Case] = [
        Case(parent: [], file: nil, directory: nil),
        Case(parent: .objectInherit, file: [], directory: [.objectInherit, .inheritOnly]),
        Case(parent: .containerInherit, file: nil, directory: .containerInherit),
        Case(parent: Self.both, file: [], directory: Self.both),
        Case(parent: [.objectInherit, .noPropagateInherit], file: [], directory: nil),
        Case(parent: [.containerInherit, .noPropagateInherit], file: nil, directory: []),
        Case(parent: Self.both.union(.noPropagateInherit), file: [], directory: []),
        Case(parent: [.objectInherit, .inheritOnly], file: [], directory: [.objectInherit, .inheritOnly]),
        Case(parent: [.containerInherit, .inheritOnly], file: nil, directory: .containerInherit),
        Case(parent: Self.both.union([.inheritOnly, .noPropagateInherit]), file: [], directory: []),
    ]

    @Test(arguments: Self.flags)
    func whatAnEntryBecomes(_ test: Case) throws {
        for (isDirectory, expected) in [(false, test.file), (true, test.directory)] {
            let plain = try self.child(of: [allow(.readData, bob, test.parent)], isDirectory: isDirectory)
            // Where nothing comes from above, the owner and the system have it all.
            let list =
                expected.map { [allow(.readData, bob, $0)] } ?? [allow(.fileAll, alice), allow(.fileAll, .localSystem)]
            #expect(plain.dacl?.entries == list)
            #expect(!plain.control.contains(.daclAutoInherited))
            // A parent that takes part in inheritance marks what it passes on.
            let marked = try self.child(
                of: [allow(.readData, bob, test.parent)], isDirectory: isDirectory, [.daclPresent, .daclAutoInherited])
            if let expected {
                #expect(marked.dacl?.entries == [allow(.readData, bob, expected.union(.inherited))])
                #expect(marked.control.contains(.daclAutoInherited))
            }
        }
    }

    @Test func theCreatorIsPutIn() throws {
        let parent = [allow(.genericAll, .creatorOwner, Self.both), allow(.readData, .creatorGroup, Self.both)]
        #expect(
            try self.child(of: parent, isDirectory: false).dacl?.entries
                == [allow(.fileAll, alice), allow(.readData, user.primaryGroup)])
        let passing = Self.both.union(.inheritOnly)
        #expect(
            try self.child(of: parent, isDirectory: true).dacl?.entries
                == [
                    allow(.fileAll, alice), allow(.genericAll, .creatorOwner, passing),
                    allow(.readData, user.primaryGroup), allow(.readData, .creatorGroup, passing),
                ])
    }

    @Test func ownerAndGroupAreTheCreators() throws {
        let made = try self.child(of: [], isDirectory: false)
        #expect(made.owner == alice)
        #expect(made.group == SID(5, [21, 1, 2, 3, 513]))
    }

    @Test func aListThatIsGivenIsTaken() throws {
        let parent = [allow(.readData, bob, Self.both)]
        let given = descriptor([allow(.genericRead, bob)], owner: alice)
        let made = try self.child(of: parent, isDirectory: false, explicit: given)
        #expect(made.dacl?.entries == [allow(.fileGenericRead, bob)])
        #expect(made.owner == alice)
        // NULL is a list, too.
        let open = try self.child(of: parent, isDirectory: false, explicit: descriptor(nil, owner: alice))
        #expect(open.control.contains(.daclPresent) && open.dacl == nil)
        // No list at all: inherited as ever.
        let ownerOnly = SecurityDescriptor(owner: alice, group: nil, dacl: nil)
        #expect(
            try self.child(of: parent, isDirectory: false, explicit: ownerOnly).dacl?.entries
                == [allow(.readData, bob)])
    }

    @Test func theParentsIsAddedForThoseWhoExpectIt() throws {
        let parent = [allow(.readData, bob, Self.both)]
        var given = descriptor([allow(.writeData, bob)], owner: alice, [.daclPresent, .daclAutoInheritRequired])
        let merged = try self.child(of: parent, isDirectory: false, explicit: given)
        #expect(merged.dacl?.entries == [allow(.writeData, bob), allow(.readData, bob)])
        given.control.insert(.daclProtected)
        let kept = try self.child(of: parent, isDirectory: false, explicit: given)
        #expect(kept.dacl?.entries == [allow(.writeData, bob)])
        #expect(kept.control.contains(.daclProtected))
    }

    @Test func whoMayGiveWhat() throws {
        #expect(throws: SMBError(.invalidOwner)) {
            try self.child(of: [], isDirectory: false, explicit: descriptor([], owner: bob))
        }
        #expect(try self.child(of: [], isDirectory: false, explicit: descriptor([]), by: administrator).owner == bob)
        var audited = descriptor([], owner: alice)
        audited.sacl = ACL(entries: [ACE(kind: .systemAudit, flags: .failedAccess, mask: .fileAll, sid: .everyone)])
        audited.control.insert(.saclPresent)
        #expect(throws: SMBError(.privilegeNotHeld)) {
            try self.child(of: [], isDirectory: false, explicit: audited)
        }
        #expect(try self.child(of: [], isDirectory: false, explicit: audited, by: administrator).sacl == audited.sacl)
    }

    @Test func auditsAreInheritedByEverybody() throws {
        var parent = descriptor([])
        let audit = ACE(kind: .systemAudit, flags: [.objectInherit, .failedAccess], mask: .fileAll, sid: .everyone)
        parent.sacl = ACL(entries: [audit])
        let made = try Inheritance.descriptor(parent: parent, explicit: nil, isDirectory: false, creator: user)
        #expect(
            made.sacl?.entries == [ACE(kind: .systemAudit, flags: .failedAccess, mask: .fileAll, sid: .everyone)])
    }

    /// Entries that double must not trap where the list is encoded.
    @Test func aListThatGrowsTooLongIsRefused() {
        let full = [ACE](repeating: allow(.genericAll, .creatorOwner, Self.both), count: 3000)
        #expect(throws: SMBError(.invalidAcl, "too much to inherit")) {
            try self.child(of: full, isDirectory: true)
        }
    }
}
