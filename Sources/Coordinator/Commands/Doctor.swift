private import Glibc
internal import Inference
internal import Rendering
package import Shared
package import SystemPackage

/// Checks what Quire needs, each thing really and not by its name.
package struct Doctor: Sendable {
    /// One thing that was checked.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        package let subject: String
        package let isRight: Bool
        /// Right as it is, with something to be known.
        package let isNote: Bool
        /// What was found, or what is wrong and what to do.
        package let text: String

        package var description: String {
            let padding = String(repeating: " ", count: max(1, 10 - subject.count))
            let indented = text.split(separator: "\n", omittingEmptySubsequences: false).joined(
                separator: "\n" + String(repeating: " ", count: 17))
            return "\(isNote ? "note " : isRight ? "ok   " : "wrong")  \(subject)\(padding)\(indented)"
        }

        package init(_ subject: String, isRight: Bool, isNote: Bool = false, _ text: String) {
            self.subject = subject
            self.isRight = isRight
            self.isNote = isNote
            self.text = text
        }
    }

    private let settings: Settings
    private let model: String?
    private let programs: FilePath?
    private let isRepairing: Bool

    /// A doctor for these settings and the model directory that a flag names.
    ///
    /// `programs` is where `quire-worker` and `quire-render` lie; nil stands for beside this program.
    package init(settings: Settings, model: String? = nil, programs: FilePath? = nil, isRepairing: Bool = false) {
        self.settings = settings
        self.model = model
        self.programs = programs
        self.isRepairing = isRepairing
    }

    /// Everything that there is to check, one finding after the other as they come.
    package func findings() -> AsyncStream<Finding> {
        AsyncStream { continuation in
            // The stream's reader prints each line at once; it ends with the last check.
            Task {
                continuation.yield(MachineCheck.device())
                continuation.yield(await database())
                for finding in await queue() { continuation.yield(finding) }
                continuation.yield(disk())
                for finding in await renderer() { continuation.yield(finding) }
                continuation.yield(worker())
                continuation.yield(await modelFiles())
                continuation.finish()
            }
        }
    }

    private func database() async -> Finding {
        let subject = "database"
        let place =
            switch settings.database.server {
            case .connectionString: "from DATABASE_URL"
            case .environment: "from the PG* variables"
            case .embedded(let directory): "private, in \(directory.displayText)"
            }
        do throws(DatabaseError) {
            let session = try await DatabaseSession.open(settings.database)
            let answer: (version: String, steps: Int)
            do throws(DatabaseError) {
                answer = try await Self.ask(session.database)
            } catch {
                await session.close()
                throw error
            }
            await session.close()
            let steps = answer.steps == 1 ? "1 schema step" : "\(answer.steps) schema steps"
            let text = "PostgreSQL \(answer.version), \(place), \(steps), up to date"
            return Finding(subject, isRight: true, text + (upgradeAdvice() ?? ""))
        } catch {
            return Finding(subject, isRight: false, "\(place): \(error)")
        }
    }

    /// Said as long as both versions are there: later it may be too late.
    private func upgradeAdvice() -> String? {
        guard case .embedded(let directory) = settings.database.server,
            let versions = EmbeddedPostgres.versions(directory: directory), let newer = versions.newer
        else { return nil }
        return
            ".\nPostgreSQL \(newer) is installed too. Before PostgreSQL \(versions.own) is removed, as an upgrade of the "
            + "system\nmay do, move the data to it: quire upgrade-database"
    }

    private static func ask(_ database: Database) async throws(DatabaseError) -> (version: String, steps: Int) {
        let rows = try await database.query(
            "SELECT current_setting('server_version'), (SELECT count(*) FROM quire.schema_migration)")
        guard var row = rows.first else { throw .unexpectedAnswer(reason: "no version") }
        return (try row.text(), Int(try row.int()))
    }

    /// The queue in the database; empty where that cannot be used, which is told of the database.
    private func queue() async -> [Finding] {
        guard let session = try? await DatabaseSession.open(settings.database) else { return [] }
        let findings: [Finding]
        do throws(DatabaseError) {
            findings = try await Self.queueFindings(session.queue, isRepairing: isRepairing)
        } catch {
            findings = [Finding("queue", isRight: false, "it cannot be looked through: \(error)")]
        }
        await session.close()
        return findings
    }

    private func disk() -> Finding {
        let directory = EmbeddedPostgres.defaultDirectory(environment: settings.variables)
        guard let free = DiskSpace.free(at: directory) else {
            return Finding(
                "disk", isRight: false, "\(directory.displayText) cannot be looked at: set QUIRE_DATA to a directory.")
        }
        let text = "\(ByteCount.text(free)) free in \(directory.displayText)"
        // An archive's results are small beside its scans, but a full disk stops the database.
        guard free >= 1_000_000_000 else {
            return Finding(
                "disk", isRight: false, "\(text): make room, or set QUIRE_DATA to a directory on another disk.")
        }
        return Finding("disk", isRight: true, text)
    }

    /// The renderer, and with it the fonts that it finds.
    private func renderer() async -> [Finding] {
        do {
            let limits = RenderLimits(try settings.rendering())
            let renderer =
                if let programs { PageRenderer(executable: programs.appending("quire-render"), limits: limits) } else {
                    try PageRenderer.besideThisProgram(limits: limits)
                }
            try await renderer.selfTest()
            return [
                Finding("renderer", isRight: true, "\(renderer.executable.displayText) draws text"),
                await Self.fonts(renderer),
            ]
        } catch {
            return [Finding("renderer", isRight: false, "\(error)")]
        }
    }

    private func worker() -> Finding {
        let folder = programs ?? ProcessIdentity.programDirectory
        let path = (folder ?? ".").appending("quire-worker")
        guard path.withPlatformString({ access($0, X_OK) }) == 0 else {
            return Finding(
                "worker", isRight: false,
                "\(path.displayText) is not there or cannot be executed. Build it (swift build) or install it beside quire."
            )
        }
        return Finding("worker", isRight: true, path.displayText)
    }

    private func modelFiles() async -> Finding {
        let subject = "model"
        do {
            let directory = try ModelLocation.find(flag: model, settings: settings)
            let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
            let defaults = try ModelDefaults(directory: directory)
            _ = try Tokenizer(contentsOf: directory.appending("tokenizer.json"))
            let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
            let digest = try await ModelDigest.compute(directory: directory)
            let size = Int64(checkpoint.byteCount)
            let text =
                "\(directory.displayText), \(Digits.grouped(checkpoint.parameterCount)) parameters, "
                + "\(ByteCount.text(size)), mode \(defaults.mode.rawValue), digest \(digest.prefix(12))"
            guard let memory = MachineCheck.memory(), memory < size else {
                return Finding(subject, isRight: true, text)
            }
            return Finding(
                subject, isRight: false,
                "\(text): this machine's \(ByteCount.text(memory)) of memory do not hold it. Use a larger machine, or "
                    + "name a smaller model by QUIRE_MODEL.")
        } catch {
            return Finding(subject, isRight: false, "\(error)")
        }
    }
}
