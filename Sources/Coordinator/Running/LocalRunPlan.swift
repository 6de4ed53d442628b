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
        /// Whether the model's Markdown is exported as it is.
        let isRaw: Bool
        let model: FilePath
        /// What each worker computes on, as it is told with `--device`.
        let devices: [String]
        /// Threads for each worker.
        let threads: Int
        /// What weights are rounded to.
        let precision: Precision
        /// Bytes for each worker; nil where each has a memory of its own and takes what is free.
        let memory: Int?
        /// What drawing one document may use, for each worker.
        let rendering: RenderSettings
        let roots: [String: FilePath]
        let workerProgram: FilePath
        let logDirectory: FilePath

        /// Checks what the command, the settings and this machine give.
        ///
        /// A function rather than an initializer: Swift 6.3 cannot optimise one that suspends while half of its
        /// properties are set.
        static func check(_ command: RunCommand, settings: Settings) async throws -> Plan {
            let roots = try settings.roots(flags: command.sources.roots)
            let paths = try SubmittedPaths(
                command.sources.paths.map(\.path), roots: roots, allowsMissing: command.sources.forgetMissing)
            guard let output = command.out?.path ?? settings["QUIRE_OUT"].map({ FilePath($0) }) else {
                throw CommandFailure(.usage, "Say where the results go: --out DIR (or QUIRE_OUT).")
            }
            try paths.refuse(output: output)
            let precision = try command.pipeline.precision(settings)
            let devices = try devices(command, settings, precision)
            let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            let threads = try command.threads ?? settings.number("QUIRE_THREADS") ?? processors
            let sharesMemory = devices.count > 1 && devices[0] == DeviceChoice.processor.description
            let memory =
                try settings.byteCount("QUIRE_MEMORY", flag: command.memory) ?? (sharesMemory ? MemoryPlan.free : nil)
            let rendering = try command.rendering.resolve(settings)
            let renderer = try await renderer(RenderLimits(rendering))
            let (model, pipeline) = try await command.pipeline.resolve(settings)
            return Plan(
                order: SubmissionOrder(sources: command.sources, paths: paths, pipeline: pipeline, renderer: renderer),
                output: output, isRaw: command.raw, model: model, devices: devices,
                threads: max(1, threads / devices.count),
                precision: precision, memory: memory.map { $0 / devices.count }, rendering: rendering,
                roots: roots,
                workerProgram: try workerProgram(beside: renderer),
                logDirectory: EmbeddedPostgres.defaultDirectory(environment: settings.variables).appending("logs"))
        }

        /// A worker for each GPU that is meant, or so many on the processor.
        private static func devices(
            _ command: RunCommand, _ settings: Settings, _ precision: Precision
        ) throws -> [String] {
            do {
                let device = try DeviceChoice(command.device ?? settings["QUIRE_DEVICE"] ?? "cpu")
                try device.check(precision)
                let cards = try device.cards()
                guard cards.isEmpty else {
                    guard command.workers == nil else {
                        throw CommandFailure(
                            .usage, "Each GPU has one worker: leave out --workers, or use --device cpu.")
                    }
                    return cards.map { "\(DeviceChoice.card($0.ordinal))" }
                }
                let workers = try command.workers ?? settings.number("QUIRE_WORKERS") ?? 1
                guard (1...64).contains(workers) else {
                    throw CommandFailure(.usage, "QUIRE_WORKERS must be from 1 to 64.")
                }
                return Array(repeating: "\(device)", count: workers)
            } catch let refusal as DeviceRefusal {
                throw CommandFailure(.usage, refusal.description)
            }
        }

        private static func renderer(_ limits: RenderLimits) async throws(RenderError) -> PageRenderer {
            let renderer = try PageRenderer.besideThisProgram(limits: limits)
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
