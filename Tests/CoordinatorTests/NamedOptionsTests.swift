import Foundation
import SystemPackage
import TestSupport
import Testing

/// What messages tell people to write has to be there.
@Suite struct `Options that messages name` {
    private struct Help: Decodable {
        struct Command: Decodable {
            struct Argument: Decodable {
                struct Name: Decodable { var name: String }
                var names: [Name]?
            }
            var arguments: [Argument]?
            var subcommands: [Command]?

            var names: [String] {
                (arguments ?? []).flatMap { ($0.names ?? []).map(\.name) } + (subcommands ?? []).flatMap(\.names)
            }
        }
        var command: Command
    }

    private func options(of program: String) async throws -> [String] {
        let outcome = try await RunningProgram.run(RunningProgram.product(program), ["--experimental-dump-help"])
        return try JSONDecoder().decode(Help.self, from: Data(outcome.output.utf8)).command.names
    }

    @Test func `are options of quire or quire-worker`() async throws {
        let known = Set(try await options(of: "quire") + options(of: "quire-worker") + ["help", "version"])
        #expect(known.contains("render-memory") && known.contains("max-pixels") && known.contains("render-seconds"))
        let root = FilePath.package().appending("Sources")
        // Those that start PostgreSQL's own programs are left out.
        for target in ["ArchiveFiles", "Claiming", "Coordinator", "Renderer", "Rendering", "Worker"] {
            let folder = root.appending(target).string
            for name in try FileManager.default.subpathsOfDirectory(atPath: folder) where name.hasSuffix(".swift") {
                let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                for match in text.matches(of: /[^-\w%!]--([a-z][a-z0-9-]+)/) {
                    #expect(known.contains(String(match.1)), "\(target)/\(name) names --\(match.1)")
                }
            }
        }
    }
}
