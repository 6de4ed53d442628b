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
        discussion: "As root two of the workers are on a host of their own (a network namespace).")

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

    func run() async throws {
        var plan = SoakPlan()
        plan.pages = pages
        plan.seed = seed
        plan.pageMilliseconds = pageMs
        plan.linkDownSeconds = linkDownSeconds
        let host = await NetworkHost.ifPossible()
        if host == nil { print("No second host: this user cannot make network namespaces here.") }
        let report: Soak.Report
        do {
            report = try await Soak.run(plan, host: host) { line in
                _ = try? FileDescriptor.standardError.writeAll("\(line)\n".utf8)
            }
        } catch {
            await host?.remove()
            throw error
        }
        await host?.remove()
        var figures = SoakFigures(report)
        let poison = try await PoisonRun.run(database: try await TestPostgres.shared.makeDatabase())
        figures.add(poison)
        print(figures.table)
        for fault in report.ledgerFaults + poison.ledgerFaults { print("FAULT: \(fault)") }
        if let json { try figures.append(to: json) }
        if !figures.areMet { throw ExitCode(1) }
    }
}
