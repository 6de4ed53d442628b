package import ArgumentParser

/// `quire worker`: who works, and asking workers to leave.
package struct WorkerCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Lists workers and asks them to leave.",
        discussion: """
            Workers are started with the program quire-worker, one for each device:

              quire worker list
              quire worker drain host7
            """,
        subcommands: [WorkerListCommand.self, WorkerDrainCommand.self])

    package init() {}
}
