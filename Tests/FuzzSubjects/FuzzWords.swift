import GoldenMessages
import SMB2Wire

/// What is compared as a whole: for `FuzzSubject.words`.
extension FuzzSubject {
    /// NTLM's signature and message types, [MS-NLMP] 2.2.1; SPNEGO's and NTLM's object identifiers, RFC 4178.
    static let tokenWords: [[UInt8]] =
        [Array("NTLMSSP\0".utf8)] + [1, 2, 3].map { Array("NTLMSSP\0".utf8) + [$0, 0, 0, 0] } + [
            hex("06 06 2B 06 01 05 05 02"), hex("06 0A 2B 06 01 04 01 82 37 02 02 0A"),
            hex("06 09 2A 86 48 86 F7 12 01 02 02"), [0x60], [0xA0], [0xA1], [0xA2], [0xA3], [0x30, 0x82],
            [0x04, 0x82],
        ]

    /// The create contexts, [MS-SMB2] 2.2.13.2.
    static let contextNames: [[UInt8]] =
        ["ExtA", "SecD", "DHnQ", "DHnC", "AlSi", "MxAc", "TWrp", "QFid", "RqLs", "DH2Q", "DH2C", "AAPL"].map {
            Array($0.utf8)
        } + [
            hex("45BCA66A EFA7F74A 9008FA46 2E144D74"), hex("B982D0B7 3B56074F A07B524A 8116A010"),
            hex("9CCBCF9E 04C1E643 980E158D A1F6EC83"), hex("93AD2550 9CB411E7 B42383DE 968BCD7C"),
        ]

    /// [MS-SMB2] 2.2.31 and [MS-FSCC] 2.3.
    static let controlCodes: [UInt32] = {
        let codes: [ControlCode] = [
            .dfsGetReferrals, .dfsGetReferralsEx, .isPathnameValid, .getCompression, .setCompression,
            .fileSystemGetStatistics, .getNTFSVolumeData, .getObjectID, .setReparsePoint, .getReparsePoint,
            .deleteReparsePoint, .createOrGetObjectID, .setSparse, .setZeroData, .queryAllocatedRanges, .fileLevelTrim,
            .offloadRead, .offloadWrite, .getIntegrityInformation, .setIntegrityInformation, .queryFileRegions,
            .duplicateExtentsToFile, .duplicateExtentsToFileEx, .pipePeek, .pipeWait, .pipeTransceive,
            .srvRequestResumeKey, .srvEnumerateSnapshots, .srvCopyChunk, .srvCopyChunkWrite, .srvReadHash,
            .lmrRequestResiliency, .queryNetworkInterfaceInfo, .validateNegotiateInfo,
        ]
        return codes.map(\.rawValue)
    }()
}
