package import Shared

extension Doctor {
    /// Looks whether the job tables keep their promises, and mends them where `isRepairing`.
    ///
    /// `progress` is called with how many documents were looked at.
    package static func queueFindings(
        _ queue: PageQueue, isRepairing: Bool, progress: (Int) -> Void = { _ in }
    ) async throws(DatabaseError) -> [Finding] {
        var documents = 0
        let check = QueueCheck(queue)
        var faults = try await check.faults { count in
            documents = count
            progress(count)
        }
        guard !faults.isEmpty else {
            let text =
                "each page of \(NumberText.count(documents, "document")) has its result or its job, and is counted"
            return [Finding("queue", isRight: true, text)]
        }
        var findings: [Finding] = []
        if isRepairing {
            for sentence in try await QueueRepair(queue).mend(faults) {
                findings.append(Finding("queue", isRight: true, "mended: \(sentence)"))
            }
            faults = try await check.faults()
            if faults.isEmpty { return findings + [Finding("queue", isRight: true, "nothing is wrong any more")] }
        }
        findings += faults.map { Finding("queue", isRight: false, $0.text) }
        if !isRepairing {
            findings.append(
                Finding("queue", isRight: false, "this is mended by `quire doctor --repair`, also while workers work"))
        }
        return findings
    }
}
