// The request shapes that many calls of several interfaces share.

/// A call whose only parameter is a context handle: the closes, SamrGetGroupsForUser and the like.
package struct RPCHandleCall: Equatable, Sendable {
    package var handle: RPCContextHandle

    package init(handle: RPCContextHandle) { self.handle = handle }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
    }

    package func encode(into writer: inout NDRWriter) { writer.append(self.handle) }
}

/// A handle and an information level (an enumeration: 16 bits, C706 14.2.5).
package struct RPCQueryCall: Equatable, Sendable {
    package var handle: RPCContextHandle
    package var level: UInt16

    package init(handle: RPCContextHandle, level: UInt16) {
        self.handle = handle
        self.level = level
    }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        self.handle = try reader.contextHandle()
        self.level = try reader.uint16()
    }

    package func encode(into writer: inout NDRWriter) {
        writer.append(self.handle)
        writer.append(self.level)
    }
}
