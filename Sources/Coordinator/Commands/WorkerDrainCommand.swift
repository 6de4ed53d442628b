package import ArgumentParser
internal import Shared

/// `quire worker drain`.
package struct WorkerDrainCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Asks workers to finish what they have begun and leave.",
        discussion: """
            They get no more pages at once, learn of it at their next heartbeat (every 10 s), store the pages that they have \
            begun, give the others back and exit with 0. Named are a worker's number or name, or a host for all on it:

              quire worker drain 12
              quire worker drain host7
              quire worker drain --all
            """)

    @Argument(help: ArgumentHelp("A worker's number or name, or a host.", valueName: "worker or host"))
    package var names: [String] = []

    @Flag(help: "All workers.")
    package var all = false

    package init() {}

    package mutating func validate() throws {
        if all != names.isEmpty { throw ValidationError("Name workers or hosts, or give --all.") }
    }

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let workers = try await session.queue.workers()
            guard !workers.isEmpty else {
                throw CommandFailure(.usage, "No worker runs, so none can be asked to leave.")
            }
            var chosen: [WorkerStatus] = all ? workers : []
            for name in names {
                let named = workers.filter { String($0.id) == name || $0.name == name }
                let found = named.isEmpty ? workers.filter { $0.host == name } : named
                guard !found.isEmpty else {
                    let known = workers.prefix(12).map {
                        "\($0.id) (\(OneLine.text($0.name)) on \(OneLine.text($0.host)))"
                    }
                    throw CommandFailure(
                        .usage,
                        "No worker that runs has the number, name or host '\(OneLine.text(name))'. There are: "
                            + known.joined(separator: ", ") + (workers.count > known.count ? ", and more." : "."))
                }
                chosen += found.filter { worker in !chosen.contains { $0.id == worker.id } }
            }
            try await session.queue.drain(workers: chosen.map(\.id))
            for worker in chosen {
                Console.line(
                    "Worker \(worker.id) (\(OneLine.text(worker.name)) on \(OneLine.text(worker.host))) leaves with "
                        + "\(NumberText.count(worker.leasedPages, "page")) in hand.")
            }
            Console.line("To follow it: quire worker list")
        }
    }
}
