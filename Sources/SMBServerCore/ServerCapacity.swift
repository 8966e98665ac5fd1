/// What the process has room for, whatever the administrator's limits say. The lower of the two is in force; what was promised before
/// a takeover is taken back all the same.
package struct ServerCapacity: Sendable {
    package let opens: Int
    package let connections: Int

    /// - Parameter opens: files and folders, each with a descriptor.
    package init(opens: Int, connections: Int) {
        self.opens = opens
        self.connections = connections
    }

    package static let unbounded = ServerCapacity(opens: .max, connections: .max)
}
