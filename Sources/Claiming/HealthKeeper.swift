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
        var places: [Int64: Place] = [:]
    }

    private let probe: any MachineProbe
    private let queue: PageQueue
    private let state = Mutex(State())

    private static let mostWitnesses = 20

    package init(probe: any MachineProbe, queue: PageQueue) {
        self.probe = probe
        self.queue = queue
    }

    /// What to tell the queue; nil where all is well.
    package var unwell: String? { state.withLock { $0.health.unwell } }

    package var mayClaim: Bool { state.withLock { $0.health.mayClaim } }

    /// Batches that are left to others for now.
    package var hiddenBatches: Set<Int64> { state.withLock { $0.health.hiddenBatches } }

    /// Notes that a page of this batch was read.
    package func succeeded(batch: Int64) { state.withLock { $0.health.succeeded(batch: batch) } }

    /// Whose failure a problem is: what may be the machine's is, where a test of the machine fails.
    package func verdict(on problem: LeaseProblem, lease: Lease) async -> LeaseVerdict {
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
        case .fileOrMount:
            return await mountVerdict(problem, lease)
        }
    }

    /// Tests what is unwell until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let (isMachineDue, batches) = state.withLock { state in
                (state.health.isMachineDue(now), state.health.batchesDue(now).map { ($0, state.places[$0]) })
            }
            if isMachineDue {
                let fault = await probe.rendererFault()
                note { $0.tested(fault, now: .now) }
            }
            for (batch, place) in batches {
                let isSeen = if let place { await sees(place) } else { true }
                note { $0.tested(batch: batch, isSeen: isSeen, now: .now) }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
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
        if await sees(place) { return .file(reason: problem.reason) }
        state.withLock { $0.places[home] = place }
        let name = "\(place.batch.name) (\(place.batch.source.root)/\(place.batch.source.path.displayText))"
        note { $0.cannotSee(batch: home, "This worker cannot see the folder of batch \(name).", now: .now) }
        return .machine
    }

    private func sees(_ place: Place) async -> Bool {
        if await probe.canRead(anyOf: place.witnesses + [place.file]) { return true }
        // Files that are all refused say that the mount is sick. Files that are all gone from a folder that holds others
        // were moved; an empty or missing folder is a mount point without its mount.
        guard await probe.isMissing(place.file) else { return false }
        return await probe.hasEntries(place.batch.source)
    }

    private func note(_ change: (inout WorkerHealth) -> String?) {
        if let line = state.withLock({ change(&$0.health) }) { Log.line(line) }
    }
}
