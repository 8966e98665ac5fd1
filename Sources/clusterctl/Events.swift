import ArgumentParser
import ClusterCore
import Foundation
import StateRecords

struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What happened in the cluster, the oldest first: takeovers with their steps, and who changed what.",
        discussion: "The newest \(ClusterLimits.events) are kept. Times are by the clock of the node that did it.")

    @OptionGroup var connection: Connection

    @Flag(help: "Go on with what happens, until Ctrl-C.")
    var follow = false

    @Option(help: "Only what is not older than this: 90s, 10m, 2h, 1d.")
    var since: String?

    @Flag(help: "One JSON object a line.")
    var json = false

    func validate() throws {
        guard let since = self.since, parseDuration(since) == nil else { return }
        throw ValidationError("--since \(since) must be a number with s, m, h or d, at most 30d")
    }

    func run() throws {
        let now = UInt64(Date().timeIntervalSince1970 * 1000)
        let oldest = self.since.flatMap { parseDuration($0) }.map { now - min(now, $0) } ?? 0
        var seen: EventRecord?
        var problem = ""
        // A takeover is what one wants to see the events of, also on the node whose clusterd ends.
        func goOn(after text: String) {
            if text != problem { printError(text) }
            problem = text
        }
        while true {
            do {
                let history = try self.ask()
                for event in history.since(seen) where event.unixMilliseconds >= oldest {
                    try self.show(event, history)
                }
                seen = history.events.last ?? seen
                problem = ""
            } catch let failed as Failed where self.follow {
                goOn(after: failed.description)
            } catch let gone as Unreachable where self.follow {
                goOn(after: gone.message)
            }
            fflush(nil)
            guard self.follow else { return }
            sleep(1)
        }
    }

    private func ask() throws -> EventHistory {
        switch try AdminClient.ask(.events, over: self.connection) {
        case .events(let history): return history
        case .failed(let failure): throw Failed(failure)
        default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
        }
    }

    private func show(_ record: EventRecord, _ history: EventHistory) throws {
        let event = ClusterStatus.Event(record, node: history.name(of: record.node))
        guard self.json else { return print(Render.event(event)) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(event), as: UTF8.self))
    }
}

extension Render {
    static func event(_ event: ClusterStatus.Event) -> String {
        let took = event.steps.isEmpty ? "" : ", \(self.milliseconds(event.milliseconds)) ms"
        let detail = event.detail.isEmpty ? "" : ": \(event.detail)"
        return "\(self.time(event.unixMilliseconds)) \(event.kind) on \(event.node)\(took)\(detail)"
    }
}
