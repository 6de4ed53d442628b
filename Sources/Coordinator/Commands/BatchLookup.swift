package import Shared

/// Finds the batch that a person named.
package enum BatchLookup {
    /// The batch of that name; a failure that names the batches there are, if there is none.
    package static func batch(named name: String, in queue: PageQueue) async throws -> Batch {
        if let batch = try await queue.batch(named: name) { return batch }
        let known = try await queue.batches().map { OneLine.text($0.name) }
        let advice =
            known.isEmpty
            ? "There are none yet; submit a folder: quire submit FOLDER"
            : "There are: " + known.suffix(10).joined(separator: ", ") + (known.count > 10 ? ", and older ones" : "")
        throw CommandFailure(.usage, "There is no batch named '\(OneLine.text(name))'. \(advice)")
    }
}
