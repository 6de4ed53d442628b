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

    @Flag(help: "Read files again whose size and time of change are as before.")
    package var rescan = false

    package init() {}

    package mutating func validate() throws {
        if paths.isEmpty { throw ValidationError("Name at least one folder or file.") }
        if let name, name.isEmpty { throw ValidationError("--name must not be empty.") }
    }
}
