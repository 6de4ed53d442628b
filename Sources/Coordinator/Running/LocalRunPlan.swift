private import Glibc
internal import Inference
internal import Rendering
internal import Shared
internal import SystemPackage

extension LocalRun {
    /// What a run has been asked for, checked before anything is changed.
    struct Plan: Sendable {
        let order: SubmissionOrder
        let output: FilePath
        let model: FilePath
        let workers: Int
        /// Threads for each worker.
        let threads: Int
        /// What weights are rounded to; nil leaves the workers their default.
        let precision: Precision?
        /// Bytes for each worker; nil where there is one, which takes what is free.
        let memory: Int?
        let roots: [String: FilePath]
        let workerProgram: FilePath
        let logDirectory: FilePath

        /// Checks what the command, the settings and this machine give.
        ///
        /// A function rather than an initializer: Swift 6.3 cannot optimise one that suspends while half of its
        /// properties are set.
        static func check(_ command: RunCommand, settings: Settings) async throws -> Plan {
            let roots = try settings.roots(flags: command.sources.roots)
            let paths = try SubmittedPaths(command.sources.paths.map(\.path), roots: roots)
            guard let output = command.out?.path ?? settings["QUIRE_OUT"].map({ FilePath($0) }) else {
                throw CommandFailure(.usage, "Say where the results go: --out DIR (or QUIRE_OUT).")
            }
            try paths.refuse(output: output)
            let workers = try command.workers ?? settings.number("QUIRE_WORKERS") ?? 1
            guard (1...64).contains(workers) else {
                throw CommandFailure(.usage, "QUIRE_WORKERS must be from 1 to 64.")
            }
            let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            let threads = max(1, (try command.threads ?? settings.number("QUIRE_THREADS") ?? processors) / workers)
            let precision = try command.precision ?? precision(settings)
            let memory =
                try settings.byteCount("QUIRE_MEMORY", flag: command.memory) ?? (workers > 1 ? MemoryPlan.free : nil)
            let renderer = try await renderer()
            let (model, pipeline) = try await command.pipeline.resolve(settings)
            return Plan(
                order: SubmissionOrder(sources: command.sources, paths: paths, pipeline: pipeline, renderer: renderer),
                output: output, model: model, workers: workers, threads: threads,
                precision: precision, memory: memory.map { $0 / workers }, roots: roots,
                workerProgram: try workerProgram(beside: renderer),
                logDirectory: EmbeddedPostgres.defaultDirectory(environment: settings.variables).appending("logs"))
        }

        /// What the settings say, so that a misspelt name ends the command and not its workers.
        private static func precision(_ settings: Settings) throws(CommandFailure) -> Precision? {
            guard let name = settings["QUIRE_PRECISION"] else { return nil }
            guard let precision = Precision(rawValue: name) else {
                throw CommandFailure(
                    .usage, "QUIRE_PRECISION is '\(name)', which is no precision: use f32, bf16 or int8.")
            }
            return precision
        }

        private static func renderer() async throws(RenderError) -> PageRenderer {
            let renderer = try PageRenderer.besideThisProgram()
            // Missing fonts give silently blank pages.
            try await renderer.selfTest()
            return renderer
        }

        private static func workerProgram(beside renderer: PageRenderer) throws(CommandFailure) -> FilePath {
            let program = renderer.executable.removingLastComponent().appending("quire-worker")
            guard program.withPlatformString({ access($0, X_OK) }) == 0 else {
                throw CommandFailure(
                    .workers,
                    """
                    quire-worker is missing: \(program.displayText) is not there or cannot be executed. Build it \
                    (swift build) or install it beside this program.
                    """)
            }
            return program
        }
    }
}
