import Glibc
import Shared
import SystemPackage
import TestSupport

/// The workers of a run: one process a place, started again when it has ended.
actor WorkerFleet {
    enum Route: Sendable {
        case direct
        case proxied
        case remote
    }

    struct Place: Sendable {
        let route: Route
        var program: RunningProgram
        var startTicks: Int64?
        var isStopped = false
        /// It was sent SIGKILL; for a moment it may seem alive.
        var isKilled = false

        var pid: Int32 { program.pid }
        var isAlive: Bool { startTicks != nil && ProcessIdentity.startTicks(of: pid) == startTicks }
    }

    private let command: @Sendable (Route) -> [String]
    private(set) var places: [Place] = []
    private(set) var ended = 0
    /// Results that came too late and were refused, by the workers' own words.
    private(set) var refused = 0
    private var words: [String] = []

    /// `command` is what starts a worker, program first.
    init(_ routes: [Route], command: @escaping @Sendable (Route) -> [String]) throws {
        self.command = command
        places = try routes.map { try Self.start($0, command($0)) }
    }

    /// Starts anew what has ended; returns the numbers of the processes that had.
    func restartEnded() throws -> [Int32] {
        var gone: [Int32] = []
        for index in places.indices where !places[index].isAlive {
            gone.append(places[index].pid)
            note(places[index].program.errors)
            ended += 1
            places[index] = try Self.start(places[index].route, command(places[index].route))
        }
        return gone
    }

    func signal(_ number: Int32, pid: Int32) {
        guard let index = places.firstIndex(where: { $0.pid == pid }), places[index].isAlive else { return }
        if number == SIGKILL { places[index].isKilled = true }
        if number == SIGSTOP { places[index].isStopped = true }
        if number == SIGCONT { places[index].isStopped = false }
        places[index].program.send(signal: number)
    }

    /// Has all of them leave; those that do not within a minute are killed.
    ///
    /// Returns how those ended that were not killed before, perhaps so late that nobody has noticed yet.
    func leave() async -> [Int32] {
        for place in places where place.isAlive {
            place.program.send(signal: SIGCONT)
            place.program.send(signal: SIGTERM)
        }
        var statuses: [Int32] = []
        for place in places {
            let status = await place.program.outcome(within: 60).status
            if place.isKilled { ended += 1 } else { statuses.append(status) }
            note(place.program.errors)
        }
        return statuses
    }

    /// The last words of workers, for a report of what went wrong.
    var lastWords: String { (words + places.map(\.program.errors)).suffix(12).joined(separator: "---\n") }

    private func note(_ errors: String) {
        refused += errors.split(separator: "\n").count { $0.contains("late results are dropped") }
        if !errors.isEmpty { words.append(errors) }
    }

    private static func start(_ route: Route, _ command: [String]) throws -> Place {
        guard let program = command.first else { throw ChaosError.command("There is no program to start.") }
        let running = try RunningProgram(FilePath(program), Array(command.dropFirst()))
        return Place(route: route, program: running, startTicks: ProcessIdentity.startTicks(of: running.pid))
    }
}
