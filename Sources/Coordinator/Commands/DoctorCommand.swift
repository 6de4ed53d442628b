package import ArgumentParser
internal import Shared

/// `quire doctor`: looks for everything that Quire needs.
package struct DoctorCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Checks the database, the queue in it, renderer, fonts, model and machine.",
        discussion: """
            One line a check, with what to do where something is wrong; the exit code is then 1. The private database is \
            started for the check, as `quire run` would do; a database that you name is only looked at.

            Of fonts it draws Chinese, Japanese, Korean and Arabic characters, and names the package for what is missing; as \
            not everybody needs these, that is a note and leaves the exit code at 0.

            Of the queue it checks that each page has its result or one job, that the counts are right, and that nothing is \
            left of batches that are gone. With --repair it mends what is wrong of that, in small steps beside workers: pages \
            that nobody would have read are queued, what belongs to nothing is deleted, counts are made anew. No result is \
            taken away.

              quire doctor
              quire doctor --repair
            """)

    @Option(help: "The model directory. [$QUIRE_MODEL; default: as for quire run]", completion: .directory)
    package var model: String?

    @Flag(help: "Mend what is wrong with the queue.")
    package var repair = false

    package init() {}

    package func run() async throws {
        let doctor = Doctor(settings: try Settings(), model: model, isRepairing: repair)
        var isWell = true
        for await finding in doctor.findings() {
            Console.line(finding.description)
            isWell = isWell && finding.isRight
        }
        guard isWell else { throw ExitCode(ExitStatus.partial.rawValue) }
    }
}
