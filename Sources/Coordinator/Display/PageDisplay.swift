internal import Digest
internal import Shared

/// One page as `quire show` writes it.
struct PageDisplay {
    private let report: PageReport

    init(_ report: PageReport) { self.report = report }

    /// What the page is just now, in words.
    var state: String {
        let outcome = report.result?.state.rawValue
        let work = report.jobs.map { Self.text(of: $0) }
        if let outcome {
            if report.result?.isToBeReadAgain == true {
                return outcome + "; to be read again: " + (work.isEmpty ? "not queued" : work.joined(separator: ", "))
            }
            // Another batch that holds the same content finds the result when it comes to it.
            return work.isEmpty ? outcome : outcome + "; of another batch still " + work.joined(separator: ", ")
        }
        return work.isEmpty ? "not queued (its batch is cancelled)" : work.joined(separator: ", ")
    }

    private static func text(of job: PageReport.Job) -> String {
        let batch = "batch \(OneLine.text(job.batch))" + (job.batchState == .open ? "" : ", \(job.batchState.rawValue)")
        switch job.state {
        case .ready: return "queued (\(batch))"
        case .waiting: return "waiting until \(job.due ?? "?") for another attempt (\(batch))"
        case .stranded: return "stranded, as no file is left from which it can be read (\(batch))"
        case .leased:
            return "leased by \(worker(job.worker, job.host)) since \(job.startedAt ?? "?") (\(batch))"
        }
    }

    private static func worker(_ name: String?, _ host: String?) -> String {
        guard let name else { return "an unknown worker" }
        return OneLine.text(name) + (host.map { " on \(OneLine.text($0))" } ?? "")
    }

    /// The page for people.
    var lines: [String] {
        var lines = ["page \(report.page) of \(report.pageCount), document \(report.document)"]
        lines += report.files.map { file in
            "file        \(file.location.path.displayText)  (root \(OneLine.text(file.location.root)), "
                + "batch \(OneLine.text(file.batch)))"
                + (file.goneAt.map { "; gone since \($0)" } ?? "")
                + (file.fault.map { "; \(NumberText.count(file.faults, "fault")) in a row: \(OneLine.text($0))" } ?? "")
        }
        lines.append("sha256      \(report.sha256.hex)  (\(report.format.rawValue))")
        lines.append("state       \(state)")
        if let result = report.result { lines += Self.lines(of: result) }
        lines += (report.result?.notes ?? []).map { Self.line(of: $0, label: "note        ") }
        lines += report.notes.map { Self.line(of: $0, label: "of the file ") }
        let pipeline = report.result?.pipeline ?? report.pipeline
        lines += [
            "model       \(pipeline.modelDigest)",
            "mode        \(pipeline.mode), at most \(pipeline.maxNewTokens) tokens, vector pages at \(pipeline.pdfDPI) dpi",
            "prompt      \(OneLine.text(pipeline.prompt))",
            "engine      \(pipeline.engineVersion)",
            "weights     \(pipeline.precision)",
        ]
        if let program = report.result?.programVersion { lines.append("program     Quire \(OneLine.text(program))") }
        lines += ["", "Attempts"] + attemptLines.map { "  " + $0 }
        for earlier in report.replaced {
            lines.append(
                "  replaced at \(earlier.replacedAt): \(earlier.state.rawValue) of \(earlier.finishedAt), token "
                    + "\(earlier.token), \(earlier.mode)" + (earlier.error.map { ": \(OneLine.text($0))" } ?? ""))
        }
        if let text = report.result?.text { lines += ["", "Text"] + Self.safe(text.markdown) }
        return lines
    }

    private static func lines(of result: ExportPage) -> [String] {
        var lines = ["finished    \(result.finishedAt), attempt \(result.attempt), token \(result.token)"]
        if let error = result.error { lines.append("error       \(OneLine.text(error))") }
        if let facts = result.facts {
            let dpi = facts.dpi.map { ", \(NumberText.rate($0)) dpi" } ?? ""
            lines.append("image       \(facts.width) x \(facts.height) pixels\(dpi)")
            var parts = [("render", facts.renderSeconds)]
            if let text = result.text {
                parts += [
                    ("encode", text.encodeSeconds), ("prefill", text.prefillSeconds), ("decode", text.decodeSeconds),
                ]
            }
            let sum = parts.reduce(0) { $0 + $1.1 }
            lines.append(
                "seconds     " + parts.map { "\($0.0) \(seconds($0.1))" }.joined(separator: ", ")
                    + "; together \(seconds(sum))")
        }
        if let text = result.text {
            lines.append(
                "tokens      \(text.promptTokens) of the prompt, \(text.outputTokens) written"
                    + (text.reachedEnd ? "" : "; cut off by the limit"))
        }
        return lines
    }

    private static func line(of note: PageNote, label: String) -> String {
        "\(label)\(OneLine.text(note.code)): \(OneLine.text(note.text))"
    }

    private var attemptLines: [String] {
        guard !(report.attempts.isEmpty && report.jobs.allSatisfy { $0.state != .leased }) else {
            return ["none that is still recorded"]
        }
        var table = TextTable([
            ("TOKEN", .right), ("WORKER", .left), ("HOST", .left), ("PAGES", .left), ("START", .left), ("END", .left),
            ("SECONDS", .right), ("OUTCOME", .left), ("ERROR", .left),
        ])
        for attempt in report.attempts {
            table.add([
                String(attempt.token), OneLine.text(attempt.worker ?? "?"), OneLine.text(attempt.host ?? "?"),
                "\(attempt.pages.lowerBound)-\(attempt.pages.upperBound)", attempt.startedAt, attempt.endedAt,
                Self.seconds(attempt.seconds), attempt.outcome, OneLine.text(attempt.error ?? ""),
            ])
        }
        for job in report.jobs where job.state == .leased {
            table.add([
                job.token.map { String($0) } ?? "?", OneLine.text(job.worker ?? "?"), OneLine.text(job.host ?? "?"), "",
                job.startedAt ?? "?", "", "", "in work", "",
            ])
        }
        return table.lines
    }

    /// With three digits after the point.
    private static func seconds(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "?" }
        let thousandths = Int((abs(value) * 1000).rounded())
        let fraction = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }

    /// Lines of a text without control characters, which could move the cursor or hide what follows.
    private static func safe(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            var safe = String.UnicodeScalarView()
            for scalar in line.unicodeScalars where scalar == "\t" || scalar.properties.generalCategory != .control {
                safe.append(scalar)
            }
            return String(safe)
        }
    }

    /// The page for programs.
    var json: JSONText {
        let pipeline = report.result?.pipeline ?? report.pipeline
        var members: [(String, JSONText)] = [
            ("page", .int(report.page)), ("pageCount", .int(report.pageCount)), ("document", .int(report.document)),
            ("sha256", .string(report.sha256.hex)), ("format", .string(report.format.rawValue)),
            (
                "files",
                .array(
                    report.files.map { file in
                        .object(
                            [("batch", .string(file.batch)), ("root", .string(file.location.root))]
                                + file.location.path.jsonMembers("path")
                                + [
                                    ("fault", .optional(file.fault)), ("faults", .int(file.faults)),
                                    ("goneAt", .optional(file.goneAt)),
                                ])
                    })
            ),
            ("state", .string(report.result?.state.rawValue ?? report.jobs.first?.state.rawValue ?? "none")),
            ("error", .optional(report.result?.error)), ("documentNotes", PageRecord.notes(report.notes)),
            ("jobs", .array(report.jobs.map { Self.json($0) })),
            ("attempts", .array(report.attempts.map { Self.json($0) })),
            ("replaced", .array(report.replaced.map { Self.json($0) })),
            (
                "pipeline",
                .object([
                    ("modelDigest", .string(pipeline.modelDigest)), ("mode", .string(pipeline.mode)),
                    ("prompt", .string(pipeline.prompt)), ("maxNewTokens", .int(pipeline.maxNewTokens)),
                    ("pdfDPI", .int(pipeline.pdfDPI)), ("engineVersion", .string(pipeline.engineVersion)),
                    ("precision", .string(pipeline.precision)),
                ])
            ),
            ("isToBeReadAgain", .bool(report.result?.isToBeReadAgain ?? false)),
        ]
        if let result = report.result {
            let record = PageRecord(
                number: report.page, page: result, figures: result.text?.figures.map(\.name) ?? [],
                sourceSHA256: report.sha256.hex)
            members.append(("result", record.json))
        } else {
            members.append(("result", .null))
        }
        return .object(members)
    }

    private static func json(_ job: PageReport.Job) -> JSONText {
        .object([
            ("batch", .string(job.batch)), ("batchState", .string(job.batchState.rawValue)),
            ("state", .string(job.state.rawValue)), ("worker", .optional(job.worker)), ("host", .optional(job.host)),
            ("token", job.token.map { .int($0) } ?? .null), ("startedAt", .optional(job.startedAt)),
            ("due", .optional(job.due)), ("attempts", .int(job.attempts)), ("losses", .int(job.losses)),
        ])
    }

    private static func json(_ attempt: PageReport.Attempt) -> JSONText {
        .object([
            ("token", .int(attempt.token)), ("batch", .optional(attempt.batch)), ("worker", .optional(attempt.worker)),
            ("host", .optional(attempt.host)), ("pid", attempt.pid.map { .int($0) } ?? .null),
            ("firstPage", .int(attempt.pages.lowerBound)), ("lastPage", .int(attempt.pages.upperBound)),
            ("attempt", .int(attempt.number)), ("startedAt", .string(attempt.startedAt)),
            ("endedAt", .string(attempt.endedAt)), ("seconds", .number(attempt.seconds)),
            ("outcome", .string(attempt.outcome)), ("error", .optional(attempt.error)),
        ])
    }

    private static func json(_ earlier: PageReport.Replaced) -> JSONText {
        .object([
            ("state", .string(earlier.state.rawValue)), ("token", .int(earlier.token)), ("mode", .string(earlier.mode)),
            ("error", .optional(earlier.error)), ("finishedAt", .string(earlier.finishedAt)),
            ("replacedAt", .string(earlier.replacedAt)),
        ])
    }
}
