/// The calls of the workstation service that are served, [MS-WKST] 3.2.4.
package enum WkssvcOperation {
    package static let netrWkstaGetInfo: UInt16 = 0
    package static let netrWkstaUserEnum: UInt16 = 2
}

/// NetrWkstaGetInfo, [MS-WKST] 3.2.4.1: WKSTA_INFO_100, 101 and 102.
package struct NetrWkstaGetInfo: Equatable, Sendable {
    package var level: UInt32

    package init(level: UInt32) { self.level = level }

    package init(parsing stub: RawSpan) throws(WireError) {
        var reader = NDRReader(stub)
        _ = try reader.uniqueString()
        self.level = try reader.uint32()
    }

    package func encode(into writer: inout NDRWriter, server: String) {
        writer.append(uniqueString: server)
        writer.append(self.level)
    }

    package func answer(
        _ server: SrvsvcServer, workgroup: String, loggedOnUsers: UInt32, into writer: inout NDRWriter
    ) {
        writer.append(self.level)
        guard (100...102).contains(self.level) else {
            writer.appendPointer(false)
            writer.append(Win32Error.invalidLevel)
            return
        }
        writer.appendPointer(true)
        writer.append(SrvsvcServer.platformNT)
        writer.appendPointer(true)
        writer.appendPointer(true)
        writer.append(server.versionMajor)
        writer.append(server.versionMinor)
        if self.level >= 101 { writer.appendPointer(true) }
        if self.level == 102 { writer.append(loggedOnUsers) }
        writer.append(string: server.name)
        writer.append(string: workgroup)
        // The LAN Manager root: nobody's.
        if self.level >= 101 { writer.append(string: "") }
        writer.append(Win32Error.success)
    }
}
