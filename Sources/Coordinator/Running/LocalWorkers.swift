private import Glibc
package import Shared
package import SystemPackage

/// The workers that `quire run` starts on this machine, and what becomes of them.
package struct LocalWorkers {
    /// How to start one.
    package struct Recipe: Sendable {
        package let executable: FilePath
        package let model: FilePath
        /// Threads for each worker.
        package let threads: Int
        /// What weights are rounded to; nil leaves it to the workers' own settings.
        package let precision: String?
        /// Bytes for each worker; nil leaves it to the workers' own settings.
        package let memory: Int?
        /// What drawing one document may use; where it does not say, the workers' own settings do.
        package let rendering: RenderSettings
        package let roots: [String: FilePath]
        /// `DATABASE_URL` for them; nil where they inherit the PG* variables.
        package let connectionString: String?
        /// `QUIRE_DATA` for them, instead, where the database is the private one: they use it as this program does, and it
        /// stays as long as one of them does, whatever becomes of this program.
        package let dataDirectory: FilePath?

        package init(
            executable: FilePath, model: FilePath, threads: Int, precision: String? = nil, memory: Int? = nil,
            rendering: RenderSettings = RenderSettings(), roots: [String: FilePath], connectionString: String?,
            dataDirectory: FilePath? = nil
        ) {
            self.executable = executable
            self.model = model
            self.threads = threads
            self.precision = precision
            self.memory = memory
            self.rendering = rendering
            self.roots = roots
            self.connectionString = connectionString
            self.dataDirectory = dataDirectory
        }
    }

    private struct Slot {
        let name: String
        let device: String
        var process: WorkerProcess?
        var policy = RestartPolicy()
        var restartAt: ContinuousClock.Instant?
        /// When the process was found ended; its last words may still be on their way.
        var endedAt: ContinuousClock.Instant?
    }

    /// A child of a worker may hold its output open; nobody waits for that longer than this.
    private static let lastWordsTime = Duration.seconds(1)

    package let log: WorkerLog
    private let recipe: Recipe
    private var slots: [Slot]
    private var settledAtLastDeath: Int

    /// Starts a worker for each device, at least one; `settled` is how many pages of the batch are settled already.
    package init(devices: [String], recipe: Recipe, log: WorkerLog, settled: Int) throws(CommandFailure) {
        self.recipe = recipe
        self.log = log
        settledAtLastDeath = settled
        slots = devices.enumerated().map { number, device in
            Slot(name: "\(ProcessIdentity.host)-\(getpid())-\(number + 1)", device: device)
        }
        do {
            for index in slots.indices { slots[index].process = try start(slots[index]) }
        } catch {
            for slot in slots { slot.process?.kill() }
            throw error
        }
    }

    /// Whether one runs or is about to be started again.
    package var isAnyoneLeft: Bool { slots.contains { $0.process != nil || $0.restartAt != nil } }

    /// Whether one runs.
    package var isAnyoneRunning: Bool { slots.contains { $0.process != nil } }

    /// Starts again what died; returns what the person should know.
    ///
    /// To be called a few times a second.
    package mutating func tend(_ queue: PageQueue, settled: Int) async throws -> [String] {
        var notices: [String] = []
        var held: [Int32: Int]?
        for index in slots.indices {
            if let process = slots[index].process, let end = process.ended() {
                let endedAt = slots[index].endedAt ?? .now
                slots[index].endedAt = endedAt
                guard process.hasSaidAll || .now - endedAt > Self.lastWordsTime else { continue }
                slots[index].process = nil
                slots[index].endedAt = nil
                let leased: [Int32: Int]
                if let held { leased = held } else { leased = try await DeadWorkers.report(to: queue) }
                held = leased
                let decision = slots[index].policy.died(
                    end, seconds: (ContinuousClock.now - process.started) / .seconds(1),
                    hadPages: leased[process.pid, default: 0] > 0, batchProgressed: settled > settledAtLastDeath)
                settledAtLastDeath = settled
                notices += apply(decision, to: index, process, end)
            } else if let time = slots[index].restartAt, time <= .now {
                slots[index].restartAt = nil
                slots[index].process = try start(slots[index])
            }
        }
        return notices
    }

    private mutating func apply(
        _ decision: RestartPolicy.Decision, to index: Int, _ process: WorkerProcess, _ end: WorkerProcess.End
    ) -> [String] {
        let lines = log.lastLines(of: process.name).suffix(4).map { "    \($0)" }
        switch decision {
        case .leave:
            return ["The worker \(process.name) was told to leave and has done so."]
        case .restart(let seconds):
            slots[index].restartAt = .now + .seconds(seconds)
            return ["The worker \(process.name) \(end.sentence) and is started again."] + lines
        case .giveUp(let reason):
            return ["The worker \(process.name) is not started again. \(reason)"] + lines
        }
    }

    /// Asks all to finish the page in hand and leave; again, to give it back.
    package mutating func drain() {
        for index in slots.indices {
            slots[index].restartAt = nil
            slots[index].process?.drain()
        }
    }

    /// Ends all at once; the queue learns of it when they are reported.
    package mutating func kill() {
        for index in slots.indices {
            slots[index].restartAt = nil
            slots[index].process?.kill()
        }
    }

    /// Notes which have ended, starting none again; whether all have.
    package mutating func haveAllEnded() -> Bool {
        for index in slots.indices where slots[index].process?.ended() != nil { slots[index].process = nil }
        return !isAnyoneRunning
    }

    private func start(_ slot: Slot) throws(CommandFailure) -> WorkerProcess {
        var arguments = [
            Array("--device".utf8), Array(slot.device.utf8), Array("--model".utf8), recipe.model.bytes,
            Array("--threads".utf8), Array("\(recipe.threads)".utf8), Array("--name".utf8), Array(slot.name.utf8),
            Array("--parent-pid".utf8), Array("\(getpid())".utf8),
        ]
        if let precision = recipe.precision { arguments += [Array("--precision".utf8), Array(precision.utf8)] }
        if let memory = recipe.memory { arguments += [Array("--memory".utf8), Array("\(memory)".utf8)] }
        arguments += recipe.rendering.arguments.map { Array($0.utf8) }
        for (root, path) in recipe.roots.sorted(by: { $0.key < $1.key }) where root != "local" {
            arguments += [Array("--root".utf8), Array("\(root)=".utf8) + path.bytes]
        }
        return try WorkerProcess(
            name: slot.name, executable: recipe.executable, arguments: arguments, environment: environment(), log: log)
    }

    /// This program's variables, with the database's.
    private func environment() -> [[UInt8]] {
        var variables: [[UInt8]] = []
        var entry = environ
        while let text = entry.pointee {
            variables.append(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
            entry += 1
        }
        if let directory = recipe.dataDirectory {
            variables.removeAll { $0.starts(with: "QUIRE_DATA=".utf8) }
            return variables + [Array("QUIRE_DATA=".utf8) + directory.bytes]
        }
        guard let connectionString = recipe.connectionString else { return variables }
        variables.removeAll { $0.starts(with: "DATABASE_URL=".utf8) }
        return variables + [Array("DATABASE_URL=\(connectionString)".utf8)]
    }
}
