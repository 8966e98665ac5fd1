/// One well-formed request of each kind, byte by byte from the field tables of [MS-SMB2] 2.2: what the golden tests compare
/// with and the mutation tests start from. `fixed` is how many bytes must be there for it to parse.
package struct GoldenRequest: Sendable, CustomStringConvertible {
    package var name: String
    package var bytes: [UInt8]
    package var description: String { self.name }
}

package enum GoldenRequests {
    package static let all: [GoldenRequest] = [
        GoldenRequest(name: "negotiate", bytes: negotiate),
        GoldenRequest(name: "negotiate 2.1", bytes: negotiate21),
        GoldenRequest(name: "session setup", bytes: sessionSetup),
        GoldenRequest(name: "logoff", bytes: message(0x02, hex("0400 0000"))),
        GoldenRequest(name: "tree connect", bytes: treeConnect),
        GoldenRequest(name: "tree disconnect", bytes: message(0x04, hex("0400 0000"))),
        GoldenRequest(name: "create", bytes: create),
        GoldenRequest(name: "create with contexts", bytes: createWithContexts),
        GoldenRequest(name: "close", bytes: close),
        GoldenRequest(name: "flush", bytes: flush),
        GoldenRequest(name: "read", bytes: read),
        GoldenRequest(name: "write", bytes: write),
        GoldenRequest(name: "lock", bytes: lock),
        GoldenRequest(name: "ioctl", bytes: ioctl),
        GoldenRequest(name: "ioctl copychunk", bytes: ioctlCopyChunk),
        GoldenRequest(name: "cancel", bytes: message(0x0C, hex("0400 0000"))),
        GoldenRequest(name: "echo", bytes: message(0x0D, hex("0400 0000"))),
        GoldenRequest(name: "query directory", bytes: queryDirectory),
        GoldenRequest(name: "change notify", bytes: changeNotify),
        GoldenRequest(name: "query info", bytes: queryInfo),
        GoldenRequest(name: "set info rename", bytes: setInfoRename),
        GoldenRequest(name: "set info security", bytes: setInfoSecurity),
        GoldenRequest(name: "oplock break", bytes: oplockBreak),
        GoldenRequest(name: "lease break", bytes: leaseBreak),
    ]

    package static let fileID = "1111111111111111 2222222222222222"

    /// 2.2.3 with the contexts of 2.2.3.1.1, .2, .3, .4, .7.
    package static let negotiate = message(
        0x00,
        hex(
            """
            2400 0500 0100 0000 7F000000            ; StructureSize, DialectCount, SecurityMode, Capabilities
            00112233445566778899AABBCCDDEEFF        ; ClientGuid
            70000000 0500 0000                      ; NegotiateContextOffset 112, Count
            0202 1002 0003 0203 1103 0000           ; Dialects, padding to 112
            0100 0A00 00000000 0100 0400 0100 DEADBEEF 000000000000
            0200 0600 00000000 0200 0200 0100 0000
            0300 0A00 00000000 0100 0000 00000000 0200 000000000000
            0500 0800 00000000 6E00 6F00 6400 6500
            0800 0600 00000000 0200 0200 0100
            """))

    /// 2.2.3 in 2.1: ClientStartTime in the contexts' place.
    package static let negotiate21 = message(
        0x00, hex("2400 0200 0100 0000 00000000 00112233445566778899AABBCCDDEEFF 0000000000000000 0202 1002"))

    /// 2.2.5.
    package static let sessionSetup = message(
        0x01, hex("1900 00 01 01000000 00000000 5800 0500 8877665544332211 6003020104"))

    /// 2.2.9.
    package static let treeConnect = message(0x03, hex("0900 0000 4800 1A00") + utf16(#"\\tshare\test"#))

    /// 2.2.13 without contexts.
    package static let create = message(
        0x05,
        hex(
            """
            3900 00 09 02000000 0000000000000000 0000000000000000
            89001200 80000000 07000000 01000000 40000000
            7800 1000 00000000 00000000
            """) + utf16(#"dir\a.tx"#))

    /// 2.2.13.2: each kind of context once.
    package static let createWithContexts = message(
        0x05,
        hex(
            """
            3900 00 FF 02000000 0000000000000000 0000000000000000
            89001200 80000000 07000000 03000000 40000000
            7800 0600 80000000 58020000
            """) + utf16("a.b") + [0, 0]
            + hex(
                """
                28000000 1000 0400 0000 1800 0C000000 45787441 00000000 00000000 00 01 0200 41 00 0708 00000000 ; ExtA
                38000000 1000 0400 0000 1800 20000000 53656344 00000000                                   ; SecD
                01 00 0480 14000000 00000000 00000000 00000000 01 01 000000000001 00000000
                28000000 1000 0400 0000 1800 10000000 44486E51 00000000 00000000000000000000000000000000  ; DHnQ
                28000000 1000 0400 0000 1800 10000000 44486E43 00000000 11111111111111112222222222222222  ; DHnC
                20000000 1000 0400 0000 1800 08000000 416C5369 00000000 0000100000000000                  ; AlSi
                18000000 1000 0400 0000 0000 00000000 4D784163 00000000                                   ; MxAc
                20000000 1000 0400 0000 1800 08000000 54577270 00000000 0102030405060708                  ; TWrp
                18000000 1000 0400 0000 0000 00000000 51466964 00000000                                   ; QFid
                50000000 1000 0400 0000 1800 34000000 52714C73 00000000                                   ; RqLs v2
                A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 07000000 04000000 0000000000000000
                B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF 0500 0000 00000000
                38000000 1000 0400 0000 1800 20000000 44483251 00000000                                   ; DH2Q
                60EA0000 02000000 0000000000000000 C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF
                40000000 1000 0400 0000 1800 24000000 44483243 00000000                                   ; DH2C
                11111111111111112222222222222222 C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF 02000000 00000000
                38000000 1000 1000 0000 2000 14000000 45BCA66AEFA7F74A9008FA462E144D74                    ; AppInstanceId
                1400 0000 D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF 00000000
                00000000 1000 1000 0000 2000 18000000 B982D0B73B56074FA07B524A8116A010                    ; AppInstanceVersion
                1800 0000 00000000 0100000000000000 0200000000000000
                """))

    /// 2.2.15.
    package static let close = message(0x06, hex("1800 0100 00000000 \(fileID)"))

    /// 2.2.17.
    package static let flush = message(0x07, hex("1800 0000 00000000 \(fileID)"))

    /// 2.2.19.
    package static let read = message(
        0x08, hex("3100 50 00 00001000 0001000000000000 \(fileID) 01000000 00000000 00000000 0000 0000 00"))

    /// 2.2.21.
    package static let write = message(
        0x09,
        hex("3100 7000 05000000 0010000000000000 \(fileID) 00000000 00000000 0000 0000 01000000 68656C6C6F"))

    /// 2.2.26, two ranges, lock sequence number 3 at index 2.
    package static let lock = message(
        0x0A,
        hex(
            """
            3000 0200 23000000 \(fileID)
            0000000000000000 0A00000000000000 12000000 00000000
            6400000000000000 0100000000000000 01000000 00000000
            """))

    /// 2.2.31 with 2.2.31.4.
    package static let ioctl = message(
        0x0B,
        hex(
            """
            3900 0000 04021400 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF
            78000000 1C000000 00000000 00000000 00000000 18000000 01000000 00000000
            7F000000 00112233445566778899AABBCCDDEEFF 0100 0200 0003 0203
            """))

    /// 2.2.31 with 2.2.31.1.
    package static let ioctlCopyChunk = message(
        0x0B,
        hex(
            """
            3900 0000 F2801400 \(fileID)
            78000000 50000000 00000000 00000000 00000000 0C000000 01000000 00000000
            010101010101010102020202020202020303030303030303 02000000 00000000
            0000000000000000 0000100000000000 00001000 00000000
            0000200000000000 0000300000000000 34120000 00000000
            """))

    /// 2.2.33.
    package static let queryDirectory = message(
        0x0E, hex("2100 25 01 00000000 \(fileID) 6000 0200 00000100") + utf16("*"))

    /// 2.2.35.
    package static let changeNotify = message(0x0F, hex("2000 0100 00100000 \(fileID) 17000000 00000000"))

    /// 2.2.37: FileFullEaInformation with one name asked for.
    package static let queryInfo = message(
        0x10,
        hex(
            """
            2900 01 0F 00100000 6800 0000 09000000 00000000 01000000 \(fileID)
            00000000 03 414243 00
            """))

    /// 2.2.39: FileRenameInformation.
    package static let setInfoRename = message(
        0x11,
        hex(
            """
            2100 01 0A 1A000000 6000 0000 00000000 \(fileID)
            01 00000000000000 0000000000000000 06000000
            """) + utf16("new"))

    /// 2.2.39: a DACL with one entry.
    package static let setInfoSecurity = message(
        0x11,
        hex(
            """
            2100 03 00 30000000 6000 0000 04000000 \(fileID)
            01 00 0480 00000000 00000000 00000000 14000000
            02 00 1C00 0100 0000
            00 03 1400 FF011F00 01 01 000000000001 00000000
            """))

    /// 2.2.24.1.
    package static let oplockBreak = message(0x12, hex("1800 01 00 00000000 \(fileID)"))

    /// 2.2.24.2.
    package static let leaseBreak = message(
        0x12, hex("2400 0000 00000000 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 01000000 0000000000000000"))
}
