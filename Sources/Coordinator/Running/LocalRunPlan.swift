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
        let roots: [String: FilePath]
        let workerProgram: FilePath
        let logDirectory: FilePath

        init(_ command: RunCommand, settings: Settings) async throws {
            roots = try settings.roots(flags: command.sources.roots)
            let paths = try SubmittedPaths(command.sources.paths.map(\.path), roots: roots)
            guard let output = command.out?.path ?? settings["QUIRE_OUT"].map({ FilePath($0) }) else {
                throw CommandFailure(.usage, "Say where the results go: --out DIR (or QUIRE_OUT).")
            }
            self.output = output
            try paths.refuse(output: output)
            workers = try command.workers ?? settings.number("QUIRE_WORKERS") ?? 1
            let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            threads = max(1, (try command.threads ?? settings.number("QUIRE_THREADS") ?? processors) / max(1, workers))
            guard (1...64).contains(workers) else {
                throw CommandFailure(.usage, "QUIRE_WORKERS must be from 1 to 64.")
            }
            let renderer = try PageRenderer.besideThisProgram()
            // Missing fonts give silently blank pages.
            try await renderer.selfTest()
            workerProgram = renderer.executable.removingLastComponent().appending("quire-worker")
            guard workerProgram.withPlatformString({ access($0, X_OK) }) == 0 else {
                throw CommandFailure(
                    .workers,
                    """
                    quire-worker is missing: \(workerProgram.displayText) is not there or cannot be executed. Build it \
                    (swift build) or install it beside this program.
                    """)
            }
            let pipeline: Pipeline
            (model, pipeline) = try await command.pipeline.resolve(settings)
            order = SubmissionOrder(sources: command.sources, paths: paths, pipeline: pipeline, renderer: renderer)
            logDirectory = EmbeddedPostgres.defaultDirectory(environment: settings.variables).appending("logs")
        }
    }
}
