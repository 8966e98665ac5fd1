/// The body of those messages that say nothing but their command: StructureSize 4 and two reserved bytes.
package struct EmptyBody: Equatable, Sendable {
    package static let structureSize: UInt16 = 4

    package init() {}

    package init(parsing message: RawSpan) throws(WireError) {
        try message.requireBody(Self.structureSize, fixed: 4, "empty body")
    }

    package func encode(into writer: inout WireWriter) {
        writer.append(Self.structureSize)
        writer.append(UInt16(0))
    }
}

/// [MS-SMB2] 2.2.7, 2.2.8.
package typealias LogoffRequest = EmptyBody
package typealias LogoffResponse = EmptyBody
/// [MS-SMB2] 2.2.11, 2.2.12.
package typealias TreeDisconnectRequest = EmptyBody
package typealias TreeDisconnectResponse = EmptyBody
/// [MS-SMB2] 2.2.18.
package typealias FlushResponse = EmptyBody
/// [MS-SMB2] 2.2.27.
package typealias LockResponse = EmptyBody
/// [MS-SMB2] 2.2.28, 2.2.29.
package typealias EchoRequest = EmptyBody
package typealias EchoResponse = EmptyBody
/// [MS-SMB2] 2.2.30. There is no response.
package typealias CancelRequest = EmptyBody
