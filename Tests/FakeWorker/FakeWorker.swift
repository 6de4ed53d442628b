import ArgumentParser
import Claiming
import Glibc
import Shared

/// `quire-fake-worker`: the real worker in all but rendering and recognition, for tests of the queue under fire.
@main
struct FakeWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-fake-worker",
        abstract: "Claims pages and makes up their texts, for tests of the job queue.", shouldDisplay: false)

    @Option(help: "Connection string of the database.")
    var database: String

    @Option(help: "The digest of the model whose batches it takes.")
    var model: String

    @Option(help: "Milliseconds that a page takes, give or take a half.")
    var pageMs: Double = 5

    @Option(help: "How many pages are in hand at once.")
    var places: Int = 2

    @Option(help: "Seconds between heartbeats.")
    var heartbeatSeconds: Double = 0.5

    @Option(help: "Seconds of silence after which a worker is taken for dead.")
    var silenceSeconds: Double = 3

    @Option(help: "Seconds after which a claimed range may go to another worker.")
    var leaseSeconds: Double = 60

    @Option(help: "Seconds for which a broken connection is tried again.")
    var patienceSeconds: Double = 5

    @Option(help: "Seconds that a statement may take; half a second later the connection is given up.")
    var answerSeconds: Double = 2.5

    @Option(help: ArgumentHelp("A page that kills the process; may be given several times.", valueName: "path:page"))
    var crashOn: [String] = []

    func run() async throws {
        let drain = DrainSignal(StopSignal())
        var settings = DatabaseSettings(server: .connectionString(database), patienceSeconds: patienceSeconds)
        settings.limits = StatementLimits(
            statementSeconds: answerSeconds, lockSeconds: answerSeconds, graceSeconds: 0.5)
        let session = try await DatabaseSession.open(settings)
        let housekeeping = try await DatabaseSession.open(settings)
        let identity = WorkerIdentity(
            name: "fake-\(getpid())", host: ProcessIdentity.host, bootID: ProcessIdentity.bootID, pid: getpid(),
            processStartTicks: ProcessIdentity.startTicks(of: getpid()) ?? 0, device: "none",
            version: QuireVersion.current, modelDigest: model)
        let heartbeat = LeaseHeartbeat(worker: try await session.queue.register(identity))
        let wakeUp = WakeUp()
        let loop = ClaimLoop(
            queue: session.queue, identity: identity, roots: ["soak"], leaseSeconds: leaseSeconds,
            reader: FakeReader(pageMilliseconds: pageMs, poison: try poison()), heartbeat: heartbeat, drain: drain,
            places: PagePlaces(places), wakeUp: wakeUp)
        let listener = session.makeListener()
        let keeper = Housekeeper(
            queue: housekeeping.queue, identity: identity, heartbeat: heartbeat, drain: drain, parent: nil,
            heartbeatInterval: .seconds(heartbeatSeconds),
            upkeep: Upkeep(
                queue: housekeeping.queue, silenceSeconds: silenceSeconds, hearing: .seconds(silenceSeconds / 3),
                pause: .seconds(max(3, silenceSeconds * 2 / 9))))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run() }
            group.addTask { _ = await listener.run { wakeUp.ring() } }
            await loop.run()
            group.cancelAll()
        }
        try await session.queue.unregister(worker: heartbeat.workerID)
        await housekeeping.close()
        await session.close()
    }

    private func poison() throws -> Set<FakeReader.Poison> {
        var all: Set<FakeReader.Poison> = []
        for text in crashOn {
            guard let colon = text.lastIndex(of: ":"), let page = Int(text[text.index(after: colon)...]) else {
                throw ValidationError("--crash-on takes PATH:PAGE, not '\(text)'.")
            }
            all.insert(FakeReader.Poison(path: String(text[..<colon]), page: page))
        }
        return all
    }
}
