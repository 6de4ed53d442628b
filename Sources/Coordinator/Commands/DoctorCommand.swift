package import ArgumentParser
internal import Shared

/// `quire doctor`: looks for everything that Quire needs.
package struct DoctorCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Checks the database, renderer, fonts, model and machine.",
        discussion: """
            One line a check, with what to do where something is wrong; the exit code is then 1. The private database is \
            started for the check, as `quire run` would do; a database that you name is only looked at.
            """)

    @Option(help: "The model directory. [$QUIRE_MODEL; default: as for quire run]", completion: .directory)
    package var model: String?

    package init() {}

    package func run() async throws {
        let doctor = Doctor(settings: try Settings(), model: model)
        var isWell = true
        for await finding in doctor.findings() {
            Console.line(finding.description)
            isWell = isWell && finding.isRight
        }
        guard isWell else { throw ExitCode(ExitStatus.partial.rawValue) }
    }
}
