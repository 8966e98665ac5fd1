import SMB2Wire

/// What a context handle stands for. Whoever may open a pipe may read, and nothing can be changed through one: so the
/// rights that a client asked for at the open decide nothing.
enum PipeObject: Equatable, Sendable {
    case policy
    case accounts
    /// `isBuiltin`: S-1-5-32, else the server's own.
    case domain(isBuiltin: Bool)
    case user(relativeID: UInt32)
    case group(relativeID: UInt32)
    case alias(relativeID: UInt32)
}

/// The context handles of one open pipe; they end with it.
struct ContextHandles: Sendable {
    /// At it an open answers STATUS_INSUFFICIENT_RESOURCES.
    static let limit = 256
    /// The upper half of every handle's UUID: anything but zero, which is the null handle's.
    private static let mark: UInt64 = 0x686F_6C64_6661_7374

    private var objects = SlotTable<PipeObject>(limit: Self.limit)

    /// Nil: there are too many.
    mutating func insert(_ object: PipeObject) -> RPCContextHandle? {
        self.objects.insert(object).map { RPCContextHandle(uuid: GUID(low: $0, high: Self.mark)) }
    }

    subscript(_ handle: RPCContextHandle) -> PipeObject? {
        handle.uuid.high == Self.mark ? self.objects[handle.uuid.low] : nil
    }

    mutating func remove(_ handle: RPCContextHandle) -> Bool {
        handle.uuid.high == Self.mark && self.objects.remove(handle.uuid.low) != nil
    }

    /// The end of every open: a new handle and success, or the null handle and why not.
    mutating func open(_ object: PipeObject, into writer: inout NDRWriter) {
        let handle = self.insert(object)
        writer.append(handle ?? .null)
        writer.append(handle == nil ? NTStatus.insufficientResources : .success)
    }

    /// The closes of [MS-LSAD] 3.1.4.9.4 and [MS-SAMR] 3.1.5.13.1: the status of a fault for a handle that is none.
    mutating func close(_ stub: RawSpan, into writer: inout NDRWriter) throws(WireError) -> UInt32? {
        guard self.remove(try RPCHandleCall(parsing: stub).handle) else { return RPCFault.contextMismatch }
        writer.append(RPCContextHandle.null)
        writer.append(NTStatus.success)
        return nil
    }
}
