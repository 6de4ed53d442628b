package import ArgumentParser
internal import Shared

/// `quire`: the command line and the coordinator.
@main
package struct QuireCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "quire",
        abstract: "Turns folders of PDF, TIFF and page images into Markdown with layout.",
        discussion: """
            The whole job on this machine, with nothing else set up:

              quire run scans --out results

            The same in steps, as for an archive that several machines read:

              quire submit /mnt/nas/archive --root archive=/mnt/nas --name letters
              quire-worker --root archive=/mnt/nas        (on each machine)
              quire status letters --watch
              quire export letters --out results

            Quire keeps its jobs in PostgreSQL: the one that DATABASE_URL or the PG* variables name, else a private one \
            that it starts by itself. Whatever is interrupted goes on where it stopped when the same command is given again.

            Settings come from flags, then from the environment (QUIRE_MODEL, QUIRE_DATA, QUIRE_OUT, QUIRE_THREADS, \
            QUIRE_WORKERS, QUIRE_PRECISION, QUIRE_MEMORY, QUIRE_ROOTS, DATABASE_URL), then from $QUIRE_CONFIG or \
            ~/.config/quire/config.json, whose keys are model, data, threads, workers, precision, memory, roots and \
            database.

            Exit codes:
              0  all went well
              1  finished, but some files or pages could not be read, or something was noted on them; they are named
              2  wrong options, names or settings; nothing was changed
              3  the database cannot be used
              4  interrupted before the end; the same command goes on
              5  the model cannot be used
              6  the renderer does not work
              7  the local workers cannot work
              8  results cannot be written
            """,
        version: QuireVersion.current,
        groupedSubcommands: [
            CommandGroup(name: "The whole job", subcommands: [RunCommand.self]),
            CommandGroup(
                name: "In steps",
                subcommands: [SubmitCommand.self, StatusCommand.self, ShowCommand.self, ExportCommand.self]),
            CommandGroup(
                name: "Steering",
                subcommands: [
                    RetryCommand.self, PauseCommand.self, ResumeCommand.self, CancelCommand.self, PriorityCommand.self,
                    WorkerCommand.self, PruneCommand.self,
                ]),
            CommandGroup(
                name: "Setting up",
                subcommands: [
                    DoctorCommand.self, ModelCommand.self, MigrateCommand.self, UpgradeDatabaseCommand.self,
                    TakeOverDatabaseCommand.self,
                ]),
        ])

    package init() {}

    /// Parses the arguments as bytes, runs the command, and ends with an `ExitStatus`.
    package static func main() async {
        do {
            var command = try parseAsRoot(RawArguments.escaped())
            if var waiting = command as? any AsyncParsableCommand {
                try await waiting.run()
            } else {
                try command.run()
            }
        } catch {
            let status = ExitStatus(of: error, parserCode: exitCode(for: error).rawValue)
            if let sentence = CommandFailure.sentence(for: error) {
                Console.error("quire: \(sentence)")
            } else {
                let text = fullMessage(for: error)
                if status == .success { Console.line(text) } else if !text.isEmpty { Console.error(text) }
            }
            status.exit()
        }
    }
}
