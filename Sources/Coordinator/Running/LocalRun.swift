private import Glibc
internal import Inference
internal import Shared
internal import SystemPackage

/// The whole job on one machine: submit, recognise, export, sum up.
///
/// Read `run` top-down.
struct LocalRun: Sendable {
    let plan: Plan
    let session: DatabaseSession
    let stop: StopSignal
    let display: ProgressDisplay

    private var queue: PageQueue { session.queue }

    /// How often workers and signals are looked at; the queue is asked once a second.
    private static let tick = Duration.milliseconds(200)

    /// What recognition came to.
    private struct Recognition {
        var seconds = 0.0
        var pages = 0
        /// Why it ended before the batch did.
        var failure: CommandFailure?
        /// What the pages that are left wait for, where the run no longer waits for that.
        var standstill: String?
    }

    /// Returns `success` or `partial`; throws whatever ends a run before its summary.
    func run() async throws -> ExitStatus {
        let submission = try await submit()
        let batch = submission.batch
        guard batch.state == .open else {
            throw CommandFailure(
                .usage, "Batch \(batch.name) is \(batch.state.rawValue). To go on with it: quire resume \(batch.name)")
        }
        try exporter(of: batch).check()
        let recognition = try await recognise(batch)
        if let failure = recognition.failure {
            let pending = try await status(of: batch).pages.pending
            throw CommandFailure(
                failure.status,
                """
                \(failure.description) \(NumberText.count(pending, "page")) to go: the same command goes on. For what there is: \
                quire export \(batch.name) --out DIR
                """)
        }
        return try await finish(submission, recognition)
    }

    private func submit() async throws -> SubmissionOrder.Outcome {
        do {
            return try await stop.interrupting { [self] in
                let outcome = try await plan.order.carryOut(queue: queue, display: display)
                for line in outcome.report.goneLines { display.note(line) }
                return outcome
            }
        } catch is CancellationError {
            display.finish()
            throw CommandFailure(
                .interrupted,
                "Interrupted while the files were looked into. The same command goes on where this one stopped.")
        }
    }

    // MARK: Recognising

    private func recognise(_ batch: Batch) async throws -> Recognition {
        var status = try await status(of: batch)
        var recognition = Recognition()
        guard !status.isFinished else { return recognition }
        // A worker that died in an earlier run still holds pages.
        try await DeadWorkers.report(to: queue)
        let begun = ContinuousClock.now
        let settledBefore = status.settledPages
        var workers = try LocalWorkers(
            devices: Array(plan.devices.prefix(status.pages.pending)),
            recipe: LocalWorkers.Recipe(
                executable: plan.workerProgram, model: plan.model, threads: plan.threads,
                precision: plan.precision.rawValue, memory: plan.memory, rendering: plan.rendering,
                roots: plan.roots,
                connectionString: session.connectionString, dataDirectory: session.dataDirectory),
            log: WorkerLog(directory: plan.logDirectory), settled: settledBefore)
        do {
            switch try await follow(&workers, batch, &status) {
            case .finished: break
            case .failed(let failure): recognition.failure = failure
            case .standsStill(let reason): recognition.standstill = reason
            }
        } catch {
            await end(&workers)
            throw error
        }
        recognition.seconds = (ContinuousClock.now - begun) / .seconds(1)
        await leave(&workers, isDone: recognition.failure == nil)
        status = try await self.status(of: batch)
        recognition.pages = status.settledPages - settledBefore
        display.finish()
        return recognition
    }

    private enum Ending {
        case finished
        case failed(CommandFailure)
        case standsStill(reason: String)
    }

    /// Watches until the batch is finished, or cannot be.
    private func follow(
        _ workers: inout LocalWorkers, _ batch: Batch, _ status: inout BatchStatus
    ) async throws -> Ending {
        var standstill = Standstill()
        var lastUpkeep: ContinuousClock.Instant?
        var upkeep = Upkeep(queue: queue)
        while true {
            guard stop.count == 0 else {
                return .failed(CommandFailure(.interrupted, "Interrupted."))
            }
            for notice in try await workers.tend(queue, settled: status.settledPages) { display.note(notice) }
            if lastUpkeep.map({ ContinuousClock.now - $0 >= .seconds(1) }) ?? true {
                lastUpkeep = .now
                try await upkeep.keep()
                status = try await self.status(of: batch)
                display.show(ProgressLine(status))
                if status.isFinished { return .finished }
                guard status.state == .open else {
                    return .failed(
                        CommandFailure(
                            .interrupted,
                            "The batch was \(status.state.rawValue) meanwhile; open it by `quire resume \(batch.name)`."
                        ))
                }
                switch standstill.note(try await obstacle(of: status), settled: status.settledPages, now: .now) {
                case .goOn: break
                case .tell(let reason): display.note("Waiting: \(reason)")
                case .end(let reason): return .standsStill(reason: reason)
                }
            }
            guard workers.isAnyoneLeft else {
                return .failed(CommandFailure(.workers, Self.nobodyLeft(log: workers.log)))
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    /// What keeps all that is left from being read; nil where pages are in hand, or wait for nothing but their time.
    private func obstacle(of status: BatchStatus) async throws -> String? {
        guard status.pages.leased == 0 else { return nil }
        let wait = try await queue.waits(batch: status.id).first
        return BatchObstacle.ofReading(batch: status, workers: try await queue.workers(), wait: wait)
    }

    private static func nobodyLeft(log: WorkerLog) -> String {
        "No local worker is left, so recognition ends here."
            + (log.path.map { " What they said is in \($0.displayText)." } ?? "")
    }

    /// Has the workers finish their pages and leave.
    private func leave(_ workers: inout LocalWorkers, isDone: Bool) async {
        if !isDone, workers.isAnyoneRunning {
            display.note("The workers finish the pages in hand. Ctrl-C again gives these back to be done later.")
        }
        workers.drain()
        var seen = stop.count
        while !workers.haveAllEnded() {
            if stop.count > seen {
                seen = stop.count
                if seen > 2 { workers.kill() } else { workers.drain() }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
        await report()
    }

    /// Ends the workers after an error: they give their pages back, and have a few seconds for it.
    private func end(_ workers: inout LocalWorkers) async {
        workers.drain()
        workers.drain()
        let deadline = ContinuousClock.now + .seconds(10)
        while !workers.haveAllEnded() {
            if ContinuousClock.now > deadline { workers.kill() }
            try? await Task.sleep(for: .milliseconds(50))
        }
        await report()
    }

    private func report() async {
        do {
            try await DeadWorkers.report(to: queue)
        } catch {
            // The silence rule finds them in the end.
            display.note("Workers that have ended could not be reported: \(error)")
        }
    }

    private func status(of batch: Batch) async throws -> BatchStatus {
        guard let status = try await queue.status(batch: batch.id).first else {
            throw CommandFailure(.database, "Batch \(batch.name) is no longer in the database.")
        }
        return status
    }

    // MARK: Results

    private func exporter(of batch: Batch) -> Exporter {
        Exporter(queue: queue, batch: batch, directory: plan.output, isRaw: plan.isRaw)
    }

    private func finish(_ submission: SubmissionOrder.Outcome, _ recognition: Recognition) async throws -> ExitStatus {
        let batch = submission.batch
        let report = try await exporter(of: batch).export { report in
            display.show(["\(NumberText.count(report.written + report.unchanged, "document")) exported"])
        }
        let truths = try await TruthComparison(queue: queue, batch: batch, roots: plan.roots).rows()
        let summary = RunSummary(
            status: try await status(of: batch), export: report, output: plan.output,
            recognised: (recognition.pages, recognition.seconds), truths: truths, standstill: recognition.standstill)
        display.finish()
        for line in summary.lines { Console.line(line) }
        return summary.exitStatus
    }
}

extension BatchStatus {
    /// Pages that need no more work.
    var settledPages: Int { pages.total - pages.pending }
}
