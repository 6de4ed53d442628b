import ArgumentParser
import Chaos
import SystemPackage
import TestSupport

/// `quire-soak`: the job queue under fire, at length.
@main
struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quire-soak",
        abstract:
            "Kills, stops and cuts off workers and the database while pages are done, and checks that none is lost.",
        discussion: """
            First crashes, with a silence of 3 s suffered, so that they cost little time; as root two of the workers are on a \
            host of their own (a network namespace). Then the faults of an ordinary week, with the lease times of \
            production: outages, a full disk, a failover, a share that is not mounted, files that change while they are read.
            """)

    @Option(help: "How many pages.")
    var pages = 20_000

    @Option(help: "The same seed gives the same faults after the same numbers of pages.")
    var seed: UInt64 = 1

    @Option(help: "Milliseconds that a page takes, give or take a half.")
    var pageMs: Double = 50

    @Option(help: "Seconds for which the network between the two hosts is down.")
    var linkDownSeconds: Double = 60

    @Option(help: "Append each figure to this file as a line of JSON.")
    var json: String?

    @Flag(help: "Leave out the crashes, with times of leases that are shorter than production's.")
    var everydayOnly = false

    @Flag(help: "Leave out the faults of every day, which take a quarter of an hour.")
    var crashesOnly = false

    @Option(help: "The model's directory, which submitting wants.", completion: .directory)
    var model = "models/quire-nano"

    func run() async throws {
        var figures = SoakFigures()
        var faults: [String] = []
        if !everydayOnly { try await crashes(&figures, &faults) }
        if !crashesOnly { try await everyday(&figures, &faults) }
        print(figures.table)
        for fault in faults { print("FAULT: \(fault)") }
        if let json { try figures.append(to: json) }
        if !figures.areMet { throw ExitCode(1) }
    }

    private func crashes(_ figures: inout SoakFigures, _ faults: inout [String]) async throws {
        var plan = SoakPlan()
        plan.pages = pages
        plan.seed = seed
        plan.pageMilliseconds = pageMs
        plan.linkDownSeconds = linkDownSeconds
        let host = await NetworkHost.ifPossible()
        if host == nil { print("No second host: this user cannot make network namespaces here.") }
        let report: Soak.Report
        do {
            report = try await Soak.run(plan, host: host, log: Self.log)
        } catch {
            await host?.remove()
            throw error
        }
        await host?.remove()
        figures.add(report)
        let poison = try await PoisonRun.run(database: try await TestPostgres.shared.makeDatabase())
        figures.add(poison)
        faults += report.ledgerFaults + poison.ledgerFaults
    }

    private func everyday(_ figures: inout SoakFigures, _ faults: inout [String]) async throws {
        var plan = EverydayPlan()
        plan.pages = pages
        plan.seed = seed
        let report = try await EverydaySoak.run(plan, model: FilePath(model), log: Self.log)
        figures.add(report)
        faults += report.faults
    }

    private static func log(_ line: String) {
        _ = try? FileDescriptor.standardError.writeAll("\(line)\n".utf8)
    }
}
