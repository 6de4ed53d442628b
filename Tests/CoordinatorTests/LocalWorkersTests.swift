import Coordinator
import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// With shell scripts in the place of `quire-worker`, and a real queue.
@Suite struct `Local workers` {
    @Test func `get a device, the model, the roots, the parent and the database, and leave when told`() async throws {
        let setting = try await Setting(
            script: """
                for a in "$@"; do echo "arg $a"; done
                echo "url $DATABASE_URL"
                trap 'echo leaving; exit 0' TERM
                echo ready
                while true; do sleep 0.05; done
                """)
        var workers = try setting.start(devices: ["cuda:0", "cuda:1"])
        try await setting.wait { setting.said.count { $0.hasSuffix(": ready") } == 2 }
        let said = setting.said
        for expected in [
            "--model", "/models/m", "--threads", "3", "--root", "nas=/mnt/nas", "--parent-pid", "\(getpid())",
        ] {
            #expect(said.contains { $0.hasSuffix("arg \(expected)") }, "\(expected)")
        }
        for device in ["cuda:0", "cuda:1"] { #expect(said.count { $0.hasSuffix("arg \(device)") } == 1) }
        #expect(!said.contains { $0.contains("local=") })
        #expect(said.contains { $0.hasSuffix("url host=/nowhere") })
        #expect(try await workers.tend(setting.queue, settled: 0) == [])
        workers.drain()
        while !workers.haveAllEnded() { try await Task.sleep(for: .milliseconds(20)) }
        try await setting.wait { setting.said.count { $0.hasSuffix(": leaving") } == 2 }
    }

    @Test func `of a private database are its users themselves`() async throws {
        let setting = try await Setting(script: "echo \"data $QUIRE_DATA\"; echo \"url $DATABASE_URL\"; exit 0")
        var workers = try setting.start(devices: ["cpu"], dataDirectory: "/srv/it's data")
        _ = try await setting.tend(&workers)
        try await setting.wait { setting.said.contains { $0.hasSuffix("data /srv/it's data") } }
        #expect(!setting.said.contains { $0.contains("host=/nowhere") })
    }

    @Test func `that cannot work here are given up with their last words`() async throws {
        let setting = try await Setting(script: "echo 'the model is broken' >&2; exit 5")
        var workers = try setting.start(devices: ["cpu"])
        let notices = try await setting.tend(&workers)
        #expect(!workers.isAnyoneLeft)
        #expect(notices.count == 2)
        #expect(notices.first?.contains("exit code 5") == true)
        #expect(notices.last == "    the model is broken")
    }

    @Test func `that die at the start are tried three times`() async throws {
        let setting = try await Setting(script: "echo starting; kill -SEGV $$")
        var workers = try setting.start(devices: ["cpu"])
        let notices = try await setting.tend(&workers)
        #expect(notices.count { $0.contains("is started again") } == 2)
        #expect(notices.count { $0.contains("is not started again") } == 1)
        try await setting.wait { setting.said.count { $0.hasSuffix(": starting") } == 3 }
    }

    @Test func `that leave by themselves are not started again`() async throws {
        let setting = try await Setting(script: "exit 0")
        var workers = try setting.start(devices: ["cpu"])
        let notices = try await setting.tend(&workers)
        #expect(notices.count == 1)
        #expect(notices.first?.contains("was told to leave") == true)
    }

    @Test func `that are not there are named`() async throws {
        let setting = try await Setting(script: "")
        let error = #expect(throws: CommandFailure.self) {
            try LocalWorkers(
                devices: ["cpu"], recipe: setting.recipe(executable: "/nowhere/quire-worker"), log: setting.log,
                settled: 0)
        }
        #expect(error?.status == .workers)
        #expect(error?.description.contains("/nowhere/quire-worker") == true)
    }

    @Test func `of this host whose processes are gone are reported, others are not`() async throws {
        let setting = try await Setting(script: "")
        let (host, boot) = (ProcessIdentity.host, ProcessIdentity.bootID)
        let own = try #require(ProcessIdentity.startTicks(of: getpid()))
        let alive = try await setting.register("alive", host, boot, getpid(), own)
        _ = try await setting.register("number used again", host, boot, getpid(), own - 1)
        _ = try await setting.register("gone", host, boot, 4_000_000, 5)
        let elsewhere = try await setting.register("elsewhere", host + "-2", boot, 4_000_001, 5)
        let before = try await setting.register("before the reboot", host, "another boot", 4_000_002, 5)
        // A14: in another container of the same host name, whose process numbers are others.
        let contained = try await setting.register("contained", host, boot, 4_000_003, 5, namespace: 4)
        let old = try await setting.register("of an earlier version", host, boot, 4_000_004, 5, namespace: nil)
        let reported = try await DeadWorkers.report(to: setting.queue)
        #expect(reported == [getpid(): 0, 4_000_000: 0])
        #expect(Set(try await setting.queue.workers().map(\.id)) == [alive, elsewhere, before, contained, old])
    }
}

/// A queue, a log and a script for one test.
private struct Setting: Sendable {
    let queue: PageQueue
    let log: WorkerLog
    private let directory: TemporaryDirectory

    init(script: String) async throws {
        queue = PageQueue(database: Database(connectionString: try await TestPostgres.shared.makeDatabase()))
        directory = try TemporaryDirectory()
        log = WorkerLog(directory: directory.path.appending("logs"))
        try directory.makeFile("worker.sh", Array("#!/bin/sh\n\(script)\n".utf8))
        chmod(directory.path.appending("worker.sh").string, 0o755)
    }

    func recipe(executable: FilePath? = nil, dataDirectory: FilePath? = nil) -> LocalWorkers.Recipe {
        LocalWorkers.Recipe(
            executable: executable ?? directory.path.appending("worker.sh"), model: "/models/m", threads: 3,
            roots: ["local": "/", "nas": "/mnt/nas"], connectionString: "host=/nowhere",
            dataDirectory: dataDirectory)
    }

    func start(devices: [String], dataDirectory: FilePath? = nil) throws -> LocalWorkers {
        try LocalWorkers(devices: devices, recipe: recipe(dataDirectory: dataDirectory), log: log, settled: 0)
    }

    /// Tends the workers until none is left; returns the notices.
    func tend(_ workers: inout LocalWorkers) async throws -> [String] {
        var notices: [String] = []
        while workers.isAnyoneLeft {
            notices += try await workers.tend(queue, settled: 0)
            try await Task.sleep(for: .milliseconds(20))
        }
        return notices
    }

    /// The lines of the log.
    var said: [String] {
        log.path.map { directory.text(of: $0).split(separator: "\n").map(String.init) } ?? []
    }

    func wait(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(20)) }
    }

    func register(
        _ name: String, _ host: String, _ boot: String, _ pid: Int32, _ ticks: Int64,
        namespace: Int64? = ProcessIdentity.pidNamespace
    ) async throws -> Int64 {
        try await queue.register(
            WorkerIdentity(
                name: name, host: host, bootID: boot, pid: pid, processStartTicks: ticks, device: "cpu (1 thread)",
                version: QuireVersion.current, modelDigest: "ab", pidNamespace: namespace))
    }
}
