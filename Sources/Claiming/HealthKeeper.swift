package import Shared
internal import Synchronization

/// Finds out whose failure something is, and tests this machine until it is well again.
package final class HealthKeeper: Sendable {
    /// Where a batch's files lie, to see whether they are there.
    private struct Place {
        /// The file that could not be read.
        var file: SourceLocation
        /// Others of the batch.
        var witnesses: [SourceLocation]
        var batch: Batch
    }

    private struct State {
        var health = WorkerHealth()
        var interruptions = Interruptions()
        var places: [Int64: Place] = [:]
        /// Batches whose folders are just being looked for.
        var tests: Set<Int64> = []
    }

    private let probe: any MachineProbe
    private let queue: PageQueue
    private let heartbeat: LeaseHeartbeat
    private let state = Mutex(State())

    private static let mostWitnesses = 20

    /// `heartbeat` knows the worker's number in the queue.
    package init(probe: any MachineProbe, queue: PageQueue, heartbeat: LeaseHeartbeat) {
        self.probe = probe
        self.queue = queue
        self.heartbeat = heartbeat
    }

    /// What to tell the queue; nil where all is well.
    package var unwell: String? { state.withLock { $0.health.unwell } }

    package var mayClaim: Bool { state.withLock { $0.health.mayClaim } }

    /// Batches that are left to others for now.
    package var hiddenBatches: Set<Int64> { state.withLock { $0.health.hiddenBatches } }

    /// Notes that a page of this batch was read.
    package func succeeded(batch: Int64) {
        state.withLock { state in
            state.health.succeeded(batch: batch)
            state.interruptions.succeeded()
        }
    }

    /// Whose failure a problem is: what may be the machine's is, where a test of the machine fails.
    ///
    /// `page` is the one that met it; nil where all of the lease's do.
    package func verdict(on problem: LeaseProblem, lease: Lease, page: Int?) async -> LeaseVerdict {
        switch problem.kind {
        case .content(let isPermanent): return .pages(reason: problem.reason, isPermanent: isPermanent)
        case .file: return .file(reason: problem.reason)
        case .machine:
            note { $0.machineFailed(problem.reason, now: .now) }
            return .machine
        case .rendererOrContent:
            guard mayClaim else { return .machine }
            guard let fault = await probe.rendererFault() else {
                return .pages(reason: problem.reason, isPermanent: false)
            }
            note { $0.machineFailed(fault, now: .now) }
            return .machine
        case .machineOrContent:
            let isPages = state.withLock { $0.interruptions.isPages(lease.documentID, page ?? 0) }
            if isPages { return .pages(reason: problem.reason, isPermanent: false) }
            note { $0.machineFailed(problem.reason, now: .now) }
            return .machine
        case .fileOrMount, .mount:
            return await mountVerdict(problem, lease)
        }
    }

    /// Tests what is unwell until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let (isMachineDue, batches) = state.withLock { state in
                let due = state.health.batchesDue(now).filter { !state.tests.contains($0) }
                state.tests.formUnion(due)
                return (state.health.isMachineDue(now), due.map { ($0, state.places[$0]) })
            }
            // Nobody waits for a mount that does not answer, not even who leaves; it is asked by one test at a time.
            for (batch, place) in batches { Task { await test(batch, place) } }
            if isMachineDue {
                let fault = await probe.rendererFault()
                note { $0.tested(fault, now: .now) }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func test(_ batch: Int64, _ place: Place?) async {
        let isSeen = if let place { await look(at: place) != .unseen } else { true }
        state.withLock { _ = $0.tests.remove(batch) }
        note { $0.tested(batch: batch, isSeen: isSeen, now: .now) }
    }

    /// A file that cannot be read is at fault where others of its batch can; else this machine does not see the batch.
    private func mountVerdict(_ problem: LeaseProblem, _ lease: Lease) async -> LeaseVerdict {
        let (home, place): (Int64, Place)
        do {
            // The file may be another batch's.
            guard let batch = try await queue.home(of: lease) else { return .file(reason: problem.reason) }
            guard !hiddenBatches.contains(batch.id) else { return .machine }
            let witnesses = try await queue.witnesses(for: lease, limit: Self.mostWitnesses)
            (home, place) = (batch.id, Place(file: lease.file, witnesses: witnesses, batch: batch))
        } catch {
            // Without the queue nothing can be told, nor reported; whoever claims the pages next finds out.
            return .machine
        }
        // A mount that does not answer would not answer a test either.
        if problem.kind == .fileOrMount {
            switch await look(at: place) {
            case .seen: return .file(reason: problem.reason)
            case .underEmptyFolder: return .file(reason: problem.reason + Self.emptyFolder, isAbsent: true)
            case .unseen: break
            }
        }
        state.withLock { $0.places[home] = place }
        let name = "\(place.batch.name) (\(place.batch.source.root)/\(place.batch.source.path.displayText))"
        note { $0.cannotSee(batch: home, "This worker cannot see the folder of batch \(name).", now: .now) }
        return .machine
    }

    private static let emptyFolder =
        " Its folder is empty or missing: where something is to be mounted there, mount it; the pages are tried again. If "
        + "the files are gone for good, submit the batch's folder again with --forget-missing."

    private enum Look {
        case seen
        case underEmptyFolder
        case unseen
    }

    private func look(at place: Place) async -> Look {
        switch await probe.absence(of: place.file, in: place.batch.source) {
        case .moved: .seen
        // One machine without a mount leaves the files on it to those that have it; where none is left, the rest goes on.
        case .underEmptyFolder: await areOthersWell(place.batch) ? .unseen : .underEmptyFolder
        case .withoutBatch: .unseen
        // Files that are all refused say that the mount is sick.
        case .unknown: await probe.canRead(anyOf: place.witnesses + [place.file]) ? .seen : .unseen
        }
    }

    /// Whether there are other workers for the batch that lack nothing; false where nobody can tell.
    private func areOthersWell(_ batch: Batch) async -> Bool {
        (try? await queue.areOthersWell(for: batch, besides: heartbeat.workerID)) ?? false
    }

    private func note(_ change: (inout WorkerHealth) -> String?) {
        if let line = state.withLock({ change(&$0.health) }) { Log.line(line) }
    }
}
