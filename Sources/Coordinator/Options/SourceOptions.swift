package import ArgumentParser

/// Where the documents lie and what their batch is called.
package struct SourceOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp("Folders, looked into with all that is below them, or files.", valueName: "folder or file"))
    package var paths: [PathArgument]

    @Option(help: "The batch's name. [default: that of the folder]")
    package var name: String?

    @Option(
        name: .customLong("root"),
        help: ArgumentHelp(
            """
            A folder that other machines have mounted elsewhere: documents below it are stored by this name and the rest of \
            their path, and each worker says where it has it. May be given several times. [$QUIRE_ROOTS]
            """, valueName: "name=/path"))
    package var roots: [String] = []

    @Option(help: "Batches of a higher priority are recognised first.")
    package var priority = 0

    @Option(help: "A batch's share of the work among batches of one priority: 2 gets twice as much as 1.")
    package var weight = 1.0

    @Flag(help: "Read files again whose size and time of change are as before.")
    package var rescan = false

    @Flag(
        help: """
            Take files for gone whose folder is missing or empty, too, as that of a share that is not mounted is.
            """)
    package var forgetMissing = false

    package init() {}

    package mutating func validate() throws {
        if paths.isEmpty { throw ValidationError("Name at least one folder or file.") }
        try Self.check(weight: weight)
        if let name, name.isEmpty { throw ValidationError("--name must not be empty.") }
    }

    /// The same for a new batch and for one that there is; the database holds weights as `real`.
    package static func check(weight: Double) throws {
        guard weight.isFinite, (0.001...1_000_000).contains(weight) else {
            throw ValidationError("--weight must be a number from 0.001 to 1000000.")
        }
    }
}
