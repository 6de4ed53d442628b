import SystemPackage
import TestSupport
import Testing

/// Files of 25 kinds on which pages were blank, cut or shrunk in silence, and sound ones like them, all the way through.
///
/// `QUIRE_FIELD` is a regular expression of the files to be looked at, as in `QUIRE_FIELD=/04- make test`.
@Suite struct FieldFilesTests {
    private static let fixtures = FilePath(#filePath).removingLastComponent().appending("Fixtures/field")

    /// Runs `quire` over a folder with the smallest checkpoint: only what happens before recognition matters.
    private func exported(_ work: Workspace, _ folder: FilePath) async throws -> FieldExport {
        let outcome = try await work.quire(
            "run", folder.string, "--out", work.out.string, "--model", Workspace.tiny.string, "--mode", "tiny",
            "--max-tokens", "8")
        #expect([0, 1].contains(outcome.status), "\(outcome.output) \(outcome.errors)")
        return try FieldExport(work.out)
    }

    private func rules(_ work: Workspace, _ table: FilePath) -> [FieldRule] {
        work.text(table).split(separator: "\n").compactMap { line in
            let rule = FieldRule(line: line)
            if rule == nil { Issue.record("no rule: \(line)") }
            return rule
        }
    }

    /// What is wrong, a line for each rule that does not hold.
    private func faults(_ rules: [FieldRule], in export: FieldExport) async throws -> [String] {
        var fonts: Set<String> = []
        for language in Set(rules.filter { $0.kind == .toldUnlessFont }.map(\.argument)) {
            let list = try await RunningProgram.run("fc-list", [":lang=\(language)"])
            if !list.output.isEmpty { fonts.insert(language) }
        }
        return rules.compactMap { rule in
            guard let file = export.file(rule.path) else { return "\(rule) [not in batch.json]" }
            return rule.holds(for: file, fonts: fonts) ? nil : "\(rule) [\(file.summary)]"
        }
    }

    @Test func `no page of field files is blank, cut or shrunk in silence, and sound ones have no note`() async throws {
        let work = try await Workspace()
        try await work.shell(
            """
            mkdir -p "$2" && cp -r "$1/given" "$1/variants" "$2"
            [ -z "$QUIRE_FIELD" ] || find "$2" -type f | grep -vE "$QUIRE_FIELD" | xargs -r rm -f
            """, Self.fixtures.string, work.archive.string)
        let export = try await exported(work, work.archive)
        var rules = rules(work, Self.fixtures.appending("expected.tsv"))
        #expect(rules.count > 230)
        rules.removeAll { !work.exists(work.archive.appending($0.path)) }
        let faults = try await faults(rules, in: export)
        #expect(
            faults.isEmpty, "\(faults.count) of \(rules.count) rules do not hold:\n\(faults.joined(separator: "\n"))")
    }

    /// The largest are in no repository.
    @Test(.enabled(if: RunningProgram.isThere(Workspace.sharedField)))
    func `all field files as they came are right`() async throws {
        let work = try await Workspace()
        try await work.shell(
            "cp -r \"$1\" \"$2\" && chmod -R u+w \"$2\"", Workspace.sharedField.string, work.archive.string)
        let export = try await exported(work, work.archive)
        let rules = rules(work, Workspace.sharedField.appending("expected.tsv"))
        let faults = try await faults(rules, in: export)
        #expect(
            faults.isEmpty, "\(faults.count) of \(rules.count) rules do not hold:\n\(faults.joined(separator: "\n"))")
    }
}

extension Workspace {
    /// Lies beside the project on some machines.
    static let sharedField = project.removingLastComponent().appending("shared/field")
}

extension RunningProgram {
    static func isThere(_ path: FilePath) -> Bool { (try? FileDescriptor.open(path, .readOnly).close()) != nil }
}
