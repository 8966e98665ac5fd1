// Structures of the FSCTLs that work on files, beyond ControlStructures.swift. [MS-FSCC] 2.3.

/// SMB2_DUPLICATE_EXTENTS_DATA_EX, [MS-FSCC] 2.3.9.2.
package struct DuplicateExtentsEx: Equatable, Sendable {
    package static let byteCount = 56
    /// DUPLICATE_EXTENTS_DATA_EX_SOURCE_ATOMIC: all of the range or nothing.
    package static let sourceAtomic: UInt32 = 0x0000_0001

    package var extents: DuplicateExtents
    package var flags: UInt32

    package init(extents: DuplicateExtents, flags: UInt32) {
        self.extents = extents
        self.flags = flags
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(Self.byteCount, "DUPLICATE_EXTENTS_DATA_EX")
        guard input.load(UInt64.self, at: 0) == UInt64(Self.byteCount) else {
            throw .structureSize("DUPLICATE_EXTENTS_DATA_EX")
        }
        self.extents = try DuplicateExtents(parsing: input.extracting(8..<input.byteCount))
        self.flags = input.load(UInt32.self, at: 48)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt64(Self.byteCount))
        self.extents.encode(into: &writer)
        writer.append(self.flags)
        writer.append(UInt32(0))
    }
}

/// FILE_LEVEL_TRIM, [MS-FSCC] 2.3.85: ranges whose contents the client needs no more.
package struct FileLevelTrim: Equatable, Sendable {
    /// Ranges that one request works on; the answer says how many those were.
    package static let maximumRanges = 1024
    /// FILE_LEVEL_TRIM_OUTPUT, [MS-FSCC] 2.3.86.
    package static let outputByteCount = 4

    package var ranges: [FileRange]

    package init(ranges: [FileRange]) { self.ranges = ranges }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(8, "FILE_LEVEL_TRIM")
        // Key: of a byte range lock, which this server's clients cannot have one for.
        guard input.load(UInt32.self, at: 0) == 0 else { throw .invalidValue("FILE_LEVEL_TRIM Key") }
        let count = Int(input.load(UInt32.self, at: 4))
        guard count > 0 else { throw .invalidValue("FILE_LEVEL_TRIM NumRanges") }
        guard count <= (input.byteCount - 8) / FileRange.byteCount else { throw .truncated("FILE_LEVEL_TRIM ranges") }
        var ranges: [FileRange] = []
        for index in 0..<min(count, Self.maximumRanges) {
            let at = 8 + index * FileRange.byteCount
            ranges.append(try FileRange(parsing: input.extracting(at..<at + FileRange.byteCount)))
        }
        self.ranges = ranges
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt32(0))
        writer.append(UInt32(self.ranges.count))
        for range in self.ranges { range.encode(into: &writer) }
    }
}

/// FILE_REGION_INPUT, [MS-FSCC] 2.3.55.1, and the answer FILE_REGION_OUTPUT, 2.3.56.1.
package struct FileRegionQuery: Equatable, Sendable {
    /// FILE_REGION_USAGE_VALID_CACHED_DATA and FILE_REGION_USAGE_VALID_NONCACHED_DATA.
    package static let validCachedData: UInt32 = 0x0000_0001
    package static let validNoncachedData: UInt32 = 0x0000_0002
    private static let byteCount = 24
    package static let outputHeaderByteCount = 16
    package static let regionByteCount = 24

    package var range: FileRange
    package var usage: UInt32

    /// Without an input all of the file is meant. [MS-FSA] 2.1.5.10.24.
    package init(parsing input: RawSpan) throws(WireError) {
        guard input.byteCount > 0 else {
            self.range = FileRange(offset: 0, length: UInt64(Int64.max))
            self.usage = Self.validCachedData
            return
        }
        try input.require(Self.byteCount, "FILE_REGION_INPUT")
        self.range = try FileRange(parsing: input)
        self.usage = input.load(UInt32.self, at: 16)
    }

    /// Appends the answer: one region, or none.
    package static func encodeAnswer(_ region: FileRange?, usage: UInt32, into writer: inout WireWriter) {
        writer.append(UInt32(0))
        let count: UInt32 = region == nil ? 0 : 1
        writer.append(count)
        writer.append(count)
        writer.append(UInt32(0))
        guard let region else { return }
        region.encode(into: &writer)
        writer.append(usage)
        writer.append(UInt32(0))
    }
}

/// STORAGE_OFFLOAD_TOKEN, [MS-FSCC] 2.1.11. Type and length are big-endian.
package struct OffloadToken: Hashable, Sendable {
    package static let byteCount = 512
    /// STORAGE_OFFLOAD_TOKEN_TYPE_ZERO_DATA: stands for zeros.
    package static let zeroData: UInt32 = 0xFFFF_0001
    private static let idByteCount: UInt16 = 504

    package var type: UInt32
    /// The part of the id that this server fills.
    package var high: UInt64
    package var low: UInt64

    package init(type: UInt32, high: UInt64, low: UInt64) {
        self.type = type
        self.high = high
        self.low = low
    }

    /// 512 bytes at `offset`; the caller has checked the length.
    package init(loading span: RawSpan, at offset: Int) {
        self.type = UInt32(bigEndian: span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
        self.high = span.load(UInt64.self, at: offset + 8)
        self.low = span.load(UInt64.self, at: offset + 16)
    }

    package func append(to writer: inout WireWriter) {
        writer.append(self.type.byteSwapped)
        writer.append(UInt16(0))
        writer.append(Self.idByteCount.byteSwapped)
        writer.append(self.high)
        writer.append(self.low)
        writer.claim(Self.byteCount - 24)
    }
}

/// FSCTL_OFFLOAD_READ_INPUT and FSCTL_OFFLOAD_READ_OUTPUT, [MS-FSCC] 2.3.41, 2.3.42.
package struct OffloadRead: Equatable, Sendable {
    package static let byteCount = 32
    package static let outputByteCount = 16 + OffloadToken.byteCount

    package var timeToLiveMilliseconds: UInt32
    package var offset: UInt64
    package var byteCount: UInt64

    package init(timeToLiveMilliseconds: UInt32, offset: UInt64, byteCount: UInt64) {
        self.timeToLiveMilliseconds = timeToLiveMilliseconds
        self.offset = offset
        self.byteCount = byteCount
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(Self.byteCount, "FSCTL_OFFLOAD_READ_INPUT")
        guard input.load(UInt32.self, at: 0) == UInt32(Self.byteCount), input.load(UInt32.self, at: 4) == 0 else {
            throw .structureSize("FSCTL_OFFLOAD_READ_INPUT")
        }
        self.timeToLiveMilliseconds = input.load(UInt32.self, at: 8)
        self.offset = input.load(UInt64.self, at: 16)
        self.byteCount = input.load(UInt64.self, at: 24)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt32(Self.byteCount))
        writer.append(UInt32(0))
        writer.append(self.timeToLiveMilliseconds)
        writer.append(UInt32(0))
        writer.append(self.offset)
        writer.append(self.byteCount)
    }

    /// Appends the answer. `flags`: OFFLOAD_READ_FLAG_ALL_ZERO_BEYOND_CURRENT_RANGE and its kin.
    package static func encodeAnswer(
        flags: UInt32 = 0, byteCount: UInt64, _ token: OffloadToken, into writer: inout WireWriter
    ) {
        writer.append(UInt32(Self.outputByteCount))
        writer.append(flags)
        writer.append(byteCount)
        token.append(to: &writer)
    }
}

/// FSCTL_OFFLOAD_WRITE_INPUT and FSCTL_OFFLOAD_WRITE_OUTPUT, [MS-FSCC] 2.3.43, 2.3.44.
package struct OffloadWrite: Equatable, Sendable {
    package static let byteCount = 32 + OffloadToken.byteCount
    package static let outputByteCount = 16
    /// Where LengthWritten stands in the answer.
    package static let lengthWrittenOffset = 8

    package var offset: UInt64
    package var byteCount: UInt64
    /// Where in the data of the token it begins.
    package var transferOffset: UInt64
    package var token: OffloadToken

    package init(offset: UInt64, byteCount: UInt64, transferOffset: UInt64, token: OffloadToken) {
        self.offset = offset
        self.byteCount = byteCount
        self.transferOffset = transferOffset
        self.token = token
    }

    package init(parsing input: RawSpan) throws(WireError) {
        try input.require(Self.byteCount, "FSCTL_OFFLOAD_WRITE_INPUT")
        guard input.load(UInt32.self, at: 0) == UInt32(Self.byteCount), input.load(UInt32.self, at: 4) == 0 else {
            throw .structureSize("FSCTL_OFFLOAD_WRITE_INPUT")
        }
        self.offset = input.load(UInt64.self, at: 8)
        self.byteCount = input.load(UInt64.self, at: 16)
        self.transferOffset = input.load(UInt64.self, at: 24)
        self.token = OffloadToken(loading: input, at: 32)
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(UInt32(Self.byteCount))
        writer.append(UInt32(0))
        writer.append(self.offset)
        writer.append(self.byteCount)
        writer.append(self.transferOffset)
        self.token.append(to: &writer)
    }

    package static func encodeAnswer(byteCount: UInt64, into writer: inout WireWriter) {
        writer.append(UInt32(Self.outputByteCount))
        writer.append(UInt32(0))
        writer.append(byteCount)
    }
}
