/// Why bytes from a peer were refused. Every parser of this module throws this and nothing else.
package struct WireError: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        /// Fewer bytes than the structure's fixed part.
        case truncated
        /// StructureSize is not the one the specification names.
        case structureSize
        /// An offset and length that leave the message, or point into its header.
        case outOfBounds
        /// A field's value is one that the specification forbids.
        case invalidValue
        /// More elements than the named limit of this parser.
        case limitExceeded
        /// UTF-16 with an unpaired surrogate or half a unit.
        case invalidText
    }

    package var reason: Reason
    /// The structure or field, for the log.
    package var what: String

    package init(_ reason: Reason, _ what: String) {
        self.reason = reason
        self.what = what
    }

    /// What [MS-SMB2] 3.3.5 names for a malformed request, unless the handler knows better.
    package var status: NTStatus { .invalidParameter }

    @inline(never) package static func truncated(_ what: String) -> WireError { WireError(.truncated, what) }
    @inline(never) package static func structureSize(_ what: String) -> WireError { WireError(.structureSize, what) }
    @inline(never) package static func outOfBounds(_ what: String) -> WireError { WireError(.outOfBounds, what) }
    @inline(never) package static func invalidValue(_ what: String) -> WireError { WireError(.invalidValue, what) }
    @inline(never) package static func limitExceeded(_ what: String) -> WireError { WireError(.limitExceeded, what) }
    @inline(never) package static func invalidText(_ what: String) -> WireError { WireError(.invalidText, what) }
}
