internal import ArchiveFiles
internal import ArgumentParser
internal import Claiming
internal import Glibc
internal import Inference
internal import Rendering
internal import Shared
internal import Synchronization
internal import SystemPackage

/// `quire-worker`: one process for each device, which claims pages, recognises them and writes results back.
@main
struct Worker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-worker",
        abstract: "Recognises pages for Quire until it is told to stop.",
        discussion: """
            Start one worker for each device, on any host that reaches the database and has the archive mounted:

              DATABASE_URL=postgresql://quire@db/quire quire-worker --root archive=/mnt/nas/archive

            SIGTERM or Ctrl-C: it finishes the pages that it has begun, stores them, gives the rest back and exits 0. A
            second signal gives those pages back too. Without DATABASE_URL (or PG* variables) it uses the private
            database that quire starts on this machine.

            Exit codes: 0 told to stop; 2 wrong options; 3 no database; 5 no usable model; 6 the renderer does not \
            work; 7 the GPU failed.
            """,
        version: QuireVersion.current)

    @Option(
        help: ArgumentHelp(
            "The device to compute on: cpu, an NVIDIA GPU by its number, or all GPUs with a worker each. [$QUIRE_DEVICE; default: cpu]",
            valueName: "cpu|cuda:N|all"))
    var device: String?

    @Option(
        help:
            "The model directory, in Hugging Face's layout. [$QUIRE_MODEL; default: the pulled weights, else models/quire-nano]",
        completion: .directory)
    var model: String?

    @Option(help: "Threads that compute. [$QUIRE_THREADS; default: all processors]")
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "What weights are rounded to: f32, bf16 or int8. [$QUIRE_PRECISION; default: bf16]",
            valueName: "f32|bf16|int8"))
    var precision: String?

    @Option(
        help: ArgumentHelp(
            "Memory to use, for instance 12G; more of it decodes more pages together. [$QUIRE_MEMORY; default: what is free]",
            valueName: "size"))
    var memory: String?

    @Option(
        help: ArgumentHelp(
            "The largest page image, in pixels; larger pictures are reduced. [$QUIRE_MAX_PIXELS; default: 64M]",
            valueName: "count"))
    var maxPixels: String?

    @Option(
        help: ArgumentHelp(
            "Memory of the process that draws a document. [$QUIRE_RENDER_MEMORY; default: 2G]", valueName: "size"))
    var renderMemory: String?

    @Option(
        help: ArgumentHelp(
            "For how long a document may be opened, and each page drawn. [$QUIRE_RENDER_SECONDS; default: 60]",
            valueName: "seconds"))
    var renderSeconds: String?

    @Option(
        name: .customLong("root"),
        help: ArgumentHelp("Where a named root is mounted here; may be given several times.", valueName: "name=/path"))
    var roots: [String] = []

    @Option(help: "The name that `quire status` shows. [default: host and process number]")
    var name: String?

    @Option(help: ArgumentHelp("Stop when this process is gone.", visibility: .hidden))
    var parentPid: Int32?

    @Option(
        help: ArgumentHelp(
            "After so many seconds without a heartbeat a claimed range of pages may go to another worker.",
            visibility: .hidden))
    var leaseSeconds: Double = 120

    func run() async throws {
        do {
            let settings = try Settings()
            let device = try DeviceChoice(device ?? settings["QUIRE_DEVICE"] ?? "cpu")
            if device == .allCards {
                var workers = CardWorkers(
                    cards: try device.cards().map(\.ordinal), arguments: Array(CommandLine.arguments.dropFirst()))
                let signals = StopSignal()
                throw ExitCode(await workers.run { signals.count })
            }
            try await work(on: device, settings)
        } catch let code as ExitCode {
            throw code
        } catch {
            Log.line("quire-worker: \(error)")
            throw ExitCode(Self.exitCode(for: error))
        }
    }

    private func work(on device: DeviceChoice, _ settings: Settings) async throws {
        let configuration = try WorkerConfiguration(self, device: device, settings: settings)
        let signals = StopSignal()
        let drain = DrainSignal(signals)

        let renderer = try PageRenderer.besideThisProgram(limits: configuration.limits)
        // Missing fonts give silently blank pages: better no worker than that.
        try await renderer.selfTest()
        // What is missing or damaged the engine says.
        let stamps = try? ModelDigest.stamps(configuration.model)
        let engine = try OCREngine(directory: configuration.model, options: configuration.engine)
        var database = settings.database
        database.limits = .brief
        // Short: what is to be handed over is kept, and sent again, by who knows when to stop.
        database.patienceSeconds = 3
        let session: DatabaseSession
        do {
            let settings = database
            session = try await signals.interrupting {
                try await DatabaseSession.open(settings, start: Self.startPatience)
            }
        } catch is CancellationError {
            Log.line("Stopped while waiting for the database.")
            return
        }
        // Connections of their own: heartbeats must wait neither behind a large result nor behind upkeep.
        let (hearts, housekeeping) = (session.makeDatabase(), session.makeDatabase())
        let digest = try await ModelDigest.compute(directory: configuration.model)
        // Loading takes minutes: after a pull between, the digest would be that of another model than the loaded one.
        guard try ModelDigest.stamps(configuration.model) == stamps else {
            throw ModelDigestError.changed(configuration.model)
        }
        let identity = WorkerIdentity(
            name: configuration.name, host: ProcessIdentity.host, bootID: ProcessIdentity.bootID, pid: getpid(),
            processStartTicks: ProcessIdentity.startTicks(of: getpid()) ?? 0,
            device: configuration.deviceName, version: QuireVersion.current,
            modelDigest: digest,
            roots: configuration.roots.keys.sorted(), precision: configuration.engine.precision.rawValue)
        let queue = session.queue
        let heartbeat = LeaseHeartbeat(worker: try await queue.register(identity))
        let together = engine.plan.pages == 1 ? "a page at a time" : "\(engine.plan.pages) pages together"
        Log.line(
            "Worker \(identity.name) is ready: \(identity.device), \(together), "
                + "model \(identity.modelDigest.prefix(12)).")

        let folders = ArchiveFolders(roots: configuration.roots)
        let health = HealthKeeper(
            probe: Machine(renderer: renderer, folders: folders), queue: PageQueue(database: hearts),
            heartbeat: heartbeat)
        let departure = Departure(queue: PageQueue(database: hearts), heartbeat: heartbeat, drain: drain)
        let wakeUp = WakeUp()
        let loop = ClaimLoop(
            queue: queue, identity: identity, roots: Array(configuration.roots.keys),
            leaseSeconds: configuration.leaseSeconds,
            reader: ArchiveReader(
                pipeline: PagePipeline(renderer: renderer, engine: engine) { error in
                    await departure.leave("quire-worker: \(error)", code: Self.exitCode(for: error))
                }, folders: folders),
            heartbeat: heartbeat, health: health, drain: drain, places: PagePlaces(engine.capacity), wakeUp: wakeUp)
        let listener = session.makeListener()
        let keeper = Housekeeper(
            hearts: PageQueue(database: hearts), queue: PageQueue(database: housekeeping), identity: identity,
            heartbeat: heartbeat, health: health, drain: drain, parent: configuration.parent)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run() }
            group.addTask {
                if await !listener.run({ wakeUp.ring() }) {
                    Log.debug("The database is behind a pooler: new pages are found by asking alone.")
                }
            }
            await loop.run()
            group.cancelAll()
        }
        try await queue.unregister(worker: heartbeat.workerID)
        await hearts.close()
        await housekeeping.close()
        await session.close()
        Log.line("Worker \(identity.name) has stopped.")
    }

    /// A server that is just starting, as after a power failure, is waited for.
    private static var startPatience: StartPatience {
        let told = Mutex<Set<String>>([])
        return StartPatience(seconds: 600) { error in
            guard told.withLock({ $0.insert("\(error)").inserted }) else { return }
            Log.line("Waiting for the database: \(error)")
        }
    }

    private static func exitCode(for error: any Error) -> Int32 {
        switch error {
        case is WorkerError, is DeviceRefusal, is SettingsError, InferenceError.noDevice: 2
        case InferenceError.deviceFailed: 7
        case is DatabaseError: 3
        case is InferenceError, is ModelDigestError: 5
        case is RenderError: 6
        default: 1
        }
    }
}
