import ArgumentParser
import ClusterCore

struct Storage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks at iSCSI targets.", subcommands: [Check.self, Grow.self, Address.self])

    struct Address: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives the cluster's LUN other portals, or another login.",
            discussion: """
                Each portal is tried first, and must lead to the LUN that the cluster has. The node that uses it goes on as it is, \
                until 'clusterctl move' or the next takeover.
                """)

        @OptionGroup var connection: Connection

        @Argument(
            help: """
                iscsi://user%password@host[:port][,host[:port]...]/target-iqn/lun; HOLDFAST_LUN in the environment hides it from \
                'ps'.
                """)
        var lun: String?

        func run() throws {
            guard let lun = self.lun ?? environment("HOLDFAST_LUN") else {
                throw ValidationError("give the LUN's address, or set HOLDFAST_LUN")
            }
            try self.connection.perform(.setStorageAddress(lun: lun))
        }
    }

    struct Grow: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has the file system follow a LUN that was made larger at the target, while it is in use.",
            discussion: """
                Without this command it happens within a minute. A LUN that was made smaller is not followed: status 5, and an \
                error in the log until it has its size again.
                """)

        @OptionGroup var connection: Connection

        func run() throws {
            switch try AdminClient.ask(.growStorage, over: self.connection) {
            case .done(let text): print(text)
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tries whether a target has what fencing needs.",
            discussion: """
                On a LUN that nobody has a key on: registers scratch keys, reserves, preempts, resets the unit, writes the last \
                block with what it holds, and leaves nothing behind. A LUN that is in use, and a quorum disk, is only asked.
                Exit status 0: nothing is missing; 5: something is, or the LUN cannot be reached.
                """)

        @OptionGroup var connection: Connection

        @Argument(
            help: """
                iscsi://user%password@host[:port]/target-iqn/lun; HOLDFAST_LUN in the environment hides it from 'ps'. Without \
                either, the cluster's own LUN and its quorum disk.
                """)
        var lun: String?

        func run() throws {
            let request = AdminRequest.checkStorage(lun: self.lun ?? environment("HOLDFAST_LUN") ?? "")
            switch try AdminClient.ask(request, over: self.connection) {
            case .storage(let report):
                print(Render.storage(report))
                if report.grade == .unsafe || report.grade == .unusable {
                    throw ExitCode(Int32(AdminFailure.Code.storage.rawValue))
                }
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }
}

extension Render {
    static func storage(_ report: StorageReport) -> String {
        var lines = [
            "\(report.lun): \(report.product), \(report.byteCount >> 20) MiB in blocks of \(report.blockSize) bytes"
                + (report.isThin ? ", thin" : "")
        ]
        for finding in report.findings { lines.append("  \(Self.mark(finding.grade))  \(finding.text)") }
        for other in report.others {
            lines.append("\(other.lun): \(other.product), \(other.byteCount >> 20) MiB")
            for finding in other.findings { lines.append("  \(Self.mark(finding.grade))  \(finding.text)") }
        }
        lines.append(Self.conclusion(report.grade))
        return lines.joined(separator: "\n")
    }

    private static func conclusion(_ grade: StorageReport.Grade) -> String {
        switch grade {
        case .good, .note: "Fit for a cluster."
        case .unsafe: "UNSAFE: 'clusterctl init' takes it only with --accept-unsafe."
        case .unusable: "UNUSABLE: no cluster can be made on it."
        }
    }

    private static func mark(_ grade: StorageReport.Grade) -> String {
        switch grade {
        case .good: "ok      "
        case .note: "note    "
        case .unsafe: "UNSAFE  "
        case .unusable: "UNUSABLE"
        }
    }
}
