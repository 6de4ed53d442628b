import ArchiveFiles
import ArgumentParser
import Claiming
import Glibc
import Shared
import SystemPackage

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

    @Option(help: "Seconds without a heartbeat after which a claimed range may go to another worker.")
    var leaseSeconds: Double = 120

    @Option(help: "Seconds for which a broken connection is tried again.")
    var patienceSeconds: Double = 5

    @Option(help: "Seconds that a statement may take; half a second later the connection is given up.")
    var answerSeconds: Double = 2.5

    @Option(help: ArgumentHelp("A page that kills the process; may be given several times.", valueName: "path:page"))
    var crashOn: [String] = []

    @Option(
        help: ArgumentHelp("A page on which the device fails; may be given several times.", valueName: "path:page"))
    var failDeviceOn: [String] = []

    @Option(
        name: .customLong("root"),
        help: ArgumentHelp(
            "Where a named root is mounted; may be given several times. Without any, files are made up too.",
            valueName: "name=/path"))
    var roots: [String] = []

    @Option(help: "A program that stands for the renderer: it has to be there, and startable.")
    var renderer: String?

    func run() async throws {
        let drain = DrainSignal(StopSignal())
        var settings = DatabaseSettings(server: .connectionString(database), patienceSeconds: patienceSeconds)
        settings.limits = StatementLimits(
            statementSeconds: answerSeconds, lockSeconds: answerSeconds, graceSeconds: 0.5)
        let session = try await DatabaseSession.open(settings)
        let (hearts, housekeeping) = (session.makeDatabase(), session.makeDatabase())
        let identity = WorkerIdentity(
            name: "fake-\(getpid())", host: ProcessIdentity.host, bootID: ProcessIdentity.bootID, pid: getpid(),
            processStartTicks: ProcessIdentity.startTicks(of: getpid()) ?? 0, device: "none",
            version: QuireVersion.current, modelDigest: model)
        let heartbeat = LeaseHeartbeat(worker: try await session.queue.register(identity))
        let mounts = try mounts()
        let folders = mounts.isEmpty ? nil : ArchiveFolders(roots: mounts)
        let machine = FakeMachine(renderer: renderer.map { FilePath($0) }, folders: folders)
        let health = HealthKeeper(probe: machine, queue: PageQueue(database: hearts), heartbeat: heartbeat)
        let departure = Departure(queue: PageQueue(database: hearts), heartbeat: heartbeat, drain: drain)
        let wakeUp = WakeUp()
        let loop = ClaimLoop(
            queue: session.queue, identity: identity, roots: mounts.isEmpty ? ["soak"] : mounts.keys.sorted(),
            leaseSeconds: leaseSeconds,
            reader: FakeReader(
                pageMilliseconds: pageMs, poison: try addresses(crashOn), deadly: try addresses(failDeviceOn),
                folders: folders, machine: machine
            ) {
                await departure.leave("The device fails, as it was told to.", code: 7)
            },
            heartbeat: heartbeat, health: health, drain: drain, places: PagePlaces(places), wakeUp: wakeUp)
        let listener = session.makeListener()
        let keeper = Housekeeper(
            hearts: PageQueue(database: hearts), queue: PageQueue(database: housekeeping), identity: identity,
            heartbeat: heartbeat, health: health, drain: drain, parent: nil,
            heartbeatInterval: .seconds(heartbeatSeconds),
            upkeep: Upkeep(
                queue: PageQueue(database: housekeeping), silenceSeconds: silenceSeconds,
                hearing: .seconds(heartbeatSeconds * 2.5),
                pause: .seconds(max(3, silenceSeconds * 2 / 9))))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run() }
            group.addTask { _ = await listener.run { wakeUp.ring() } }
            await loop.run()
            group.cancelAll()
        }
        try await session.queue.unregister(worker: heartbeat.workerID)
        await hearts.close()
        await housekeeping.close()
        await session.close()
    }

    private func mounts() throws -> [String: FilePath] {
        var mounts: [String: FilePath] = [:]
        for text in roots {
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[1].hasPrefix("/") else {
                throw ValidationError("--root takes NAME=/PATH, not '\(text)'.")
            }
            mounts[String(parts[0])] = FilePath(String(parts[1]))
        }
        return mounts
    }

    private func addresses(_ texts: [String]) throws -> Set<FakeReader.Address> {
        var all: Set<FakeReader.Address> = []
        for text in texts {
            guard let colon = text.lastIndex(of: ":"), let page = Int(text[text.index(after: colon)...]) else {
                throw ValidationError("A page is PATH:PAGE, not '\(text)'.")
            }
            all.insert(FakeReader.Address(path: String(text[..<colon]), page: page))
        }
        return all
    }
}
