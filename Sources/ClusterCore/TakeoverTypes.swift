import Raft
import StateRecords

/// Microseconds on the node's monotonic clock.
package typealias Moment = UInt64

extension Takeover {
    /// Names one thing that the shell was told to do: an answer to an older one is void.
    package typealias Operation = UInt64

    package struct Failure: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            /// May work the next time: the target did not answer, something was still busy.
            case transient
            /// Will not work here without a person or a repair.
            case permanent
            /// The reservation carries a newer term: this node's election is history.
            case superseded
        }

        package var kind: Kind
        /// What happened and what to do next.
        package var message: String

        package init(_ kind: Kind, _ message: String) {
            self.kind = kind
            self.message = message
        }
    }

    package enum Event: Equatable, Sendable {
        /// Raft's view changed.
        case leadership(isLeader: Bool, term: Term)
        /// The no-op of this node's own term is applied: the state is whole.
        case ownTermApplied(Term)
        /// The serving lease was gained or lost.
        case lease(Bool)
        /// The data nodes that could take over, the best first (``Heirs``), and those of them that said just now that they reach
        /// the LUN.
        case heirs([NodeID], reaching: [NodeID] = [])
        /// Whether the node that served before handed over in order, and its steps.
        case predecessor(handedOver: Bool, steps: [StepRecord])

        case finished(Operation, [StepRecord])
        case failed(Operation, Failure)

        case serverExited(String)
        /// The one that is to take its place is not loaded: the one that was killed still sits in a call of the kernel,
        /// and what that does must not come after what the next one does.
        case serverHeldBack
        /// The call is over, and the next one is being loaded.
        case serverReleased
        case serverStorageFailed(String)
        case bridgeExited(String)
        case bridgeFenced(String)
        case bridgeAsksToRetake(String)
        /// The target does not answer the bridge: whatever is asked of the LUN waits.
        case bridgeUnreachable(String)
        case bridgeReachable

        /// `clusterctl move`.
        case move(to: NodeID)
        /// The node is to stop in order.
        case stop
        case tick
    }

    package enum Directive: Equatable, Sendable {
        // The storage thread, in this order.
        case takeFence(Operation, term: Term)
        case attach(Operation, term: Term)
        case restartBridge(Operation)
        case allowRetake
        case refuseRetake
        /// Clean: unmount. The reservation stays until the next takeover preempts it.
        case detach(Operation, term: Term)
        /// Unclean: nothing more may reach the LUN. Also ends whatever an earlier step left. Never fails.
        case tearDown(Operation)

        // The server.
        /// Load the records into the warm server (or a new one) and let it serve.
        case serve(Operation, epoch: Term)
        /// Takes no more requests, lets what runs finish, and says nothing more; closes no connection. One that was to
        /// be loaded in place of one that ended is not loaded any more, and there is nothing to wait for.
        case freeze(Operation)
        /// Answers nothing from this moment on, and keeps its sockets open, so that they say nothing either. Nothing waits for
        /// it: it cannot fail, and is told in the same step as whatever made it necessary.
        case silenceServer
        /// Ends the process; a new one is warmed up. Never fails, and is finished when the process is gone: one that sits in a
        /// call of the kernel has its files open until the LUN has answered.
        case endServer(Operation)

        /// On a thread of its own, which nothing else waits for: all that was written goes to the LUN, whether the server is
        /// frozen or not. Takes as long as the LUN takes.
        case flush(Operation)

        // The network.
        case raiseAddress(Operation)
        case tickle(Operation)
        /// Nothing leaves: no FIN, no reset. Never fails.
        case dropAddress(Operation)

        // Raft.
        case activate(term: Term, EventRecord)
        case deactivate(term: Term, [StepRecord])
        case record(EventRecord)
        case confirmLeadership(Operation)
        case transferLeadership(to: NodeID)

        /// The outcome of `move`; nil is success so far: the other node has been elected.
        case answerMove(String?)
        /// Nothing is held any more: the process may end.
        case mayExit
        case log(String)
    }
}

/// Every limit of a takeover. Microseconds.
package struct TakeoverLimits: Equatable, Sendable {
    /// Attempts of a takeover on this node before leadership is given away.
    package var attempts = 3
    package var retryDelay: Moment = 300_000
    /// Between attempts when nobody else can take over.
    package var patientDelay: Moment = 2_000_000
    /// In-place restarts of one process within `restartWindow`; at it the node gives up.
    package var restarts = 3
    package var restartWindow: Moment = 60_000_000
    /// How long a frozen server may take to finish what runs; after it the move goes on without. What it has acknowledged is
    /// brought to the LUN however long that takes.
    package var freezeTime: Moment = 3_000_000
    /// A flush before a move that took no longer left so little behind that the frozen clients will not feel the next.
    package var shortFlush: Moment = 100_000
    /// Flushes before a move, as long as each takes less than half of the one before. Where clients write as fast as the LUN
    /// takes it no flush gets shorter, and they have to wait for the last.
    package var flushes = 4
    /// How often a move that waits for the LUN says so in the log.
    package var waitNote: Moment = 10_000_000
    package var transferTime: Moment = 3_000_000
    /// How long the LUN may be out of this node's reach, after the bridge has said so, before the leadership goes to an heir
    /// that reaches it.
    package var unreachableTime: Moment = 5_000_000
    /// How long a server that was killed may hold back the next one, by the call of the kernel in which it sits, before
    /// the share moves to an heir that reaches the LUN. The LUN's own absence does not count.
    package var heldBackTime: Moment = 15_000_000
    /// And how long that move may bring what was acknowledged to the LUN, which hangs where the call does, before the
    /// leadership goes to such an heir without. With `heldBackTime`, no longer than clients wait for an answer: 60 s.
    package var heldBackFlushTime: Moment = 45_000_000
    /// How long that call may last once all that was acknowledged is on the LUN; then the node gives the LUN up, and
    /// nothing is lost.
    package var heldBackEndTime: Moment = 10_000_000
    /// Between attempts of a witness to hand leadership to a data node.
    package var witnessTransferInterval: Moment = 500_000

    package init() {}
}
