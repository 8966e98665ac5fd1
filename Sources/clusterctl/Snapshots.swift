import ArgumentParser
import ClusterCore
import StateRecords

struct Snapshots: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Makes, lists and deletes snapshots, which clients see as previous versions.",
        subcommands: [Create.self, List.self, Delete.self, Cancel.self, Schedule.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a snapshot of a share now. Needs room for names only: the files share their blocks.")
        @OptionGroup var connection: Connection
        @Argument(help: "The share.") var share: String
        func run() throws { try self.connection.perform(.snapshot(.create(share: self.share))) }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists snapshots, the oldest first.")
        @OptionGroup var connection: Connection
        @Argument(help: "One share's; those of all when none is given.") var share: String?

        func run() throws {
            switch try AdminClient.ask(.snapshot(.list(share: self.share ?? "")), over: self.connection) {
            case .snapshots(let snapshots):
                for snapshot in snapshots {
                    print("\(snapshot.share)  \(snapshot.token)\(snapshot.isScheduled ? "  scheduled" : "")")
                }
                if snapshots.isEmpty { print("no snapshots") }
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes a snapshot. Who has a file of it open reads on.")
        @OptionGroup var connection: Connection
        @Argument(help: "The share.") var share: String
        @Argument(help: "Which one, as 'snapshot list' shows it: @GMT-2026.11.24-19.30.00.") var token: String

        func run() throws {
            try self.connection.perform(.snapshot(.delete(share: self.share, token: self.token)))
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends the making or deleting of a share's snapshots that is under way.")
        @OptionGroup var connection: Connection
        @Argument(help: "The share.") var share: String
        func run() throws { try self.connection.perform(.snapshot(.cancel(share: self.share))) }
    }

    struct Schedule: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sets, shows or removes a share's schedule.",
            discussion:
                "With --every and --keep it is set, with --remove removed, else shown. A snapshot that a schedule "
                + "made is deleted when as many newer ones as it keeps exist; those made by hand stay.")
        @OptionGroup var connection: Connection
        @Argument(help: "The share; all schedules are shown when none is given.") var share: String?

        @Option(
            help:
                "A snapshot in each period of this length: 90s, 10m, 2h, 1d. Counted from 1970 UTC: 1h is on the hour.")
        var every: String?

        @Option(help: "How many of them stay.")
        var keep: UInt32?

        @Flag(help: "Removes the schedule; the snapshots stay.")
        var remove = false

        func validate() throws {
            guard (self.every == nil) == (self.keep == nil) else { throw ValidationError("--every goes with --keep") }
            guard !self.remove || self.every == nil else { throw ValidationError("--remove goes alone") }
            guard self.share != nil || (self.every == nil && !self.remove) else {
                throw ValidationError("which share?")
            }
        }

        func run() throws {
            if let every = self.every, let keep = self.keep, let share = self.share {
                guard let milliseconds = parseDuration(every) else {
                    throw ValidationError("--every \(every) must be a number with s, m, h or d, at most 30d")
                }
                let schedule = SnapshotSchedule(
                    share: share, everySeconds: UInt32(clamping: milliseconds / 1000), keep: keep)
                if let problem = schedule.problem { throw ValidationError(problem) }
                return try self.connection.perform(.setSnapshotSchedule(schedule))
            }
            if self.remove, let share = self.share {
                return try self.connection.perform(.removeSnapshotSchedule(share: share))
            }
            switch try AdminClient.ask(.listSnapshotSchedules, over: self.connection) {
            case .snapshotSchedules(let all):
                let shown = all.filter { self.share == nil || $0.share.lowercased() == self.share?.lowercased() }
                for schedule in shown {
                    print("\(schedule.share)  every \(schedule.everySeconds) s, keeps \(schedule.keep)")
                }
                if shown.isEmpty { print("no schedule") }
            case .failed(let failure): throw Failed(failure)
            default: throw Failed(AdminFailure(.refused, "clusterctl and clusterd are of different versions"))
            }
        }
    }
}
