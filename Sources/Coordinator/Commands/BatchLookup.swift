package import Shared

/// Finds the batch that a person means.
package enum BatchLookup {
    /// The batch of that name, else of that number; without a name the only batch that there is.
    package static func batch(named text: String?, in queue: PageQueue) async throws -> Batch {
        guard let text else { return try only(of: try await queue.batches()) }
        if let batch = try await queue.batch(named: text) { return batch }
        if let id = Int64(text), let batch = try await queue.batch(id: id) { return batch }
        let names = try await queue.batches().map(\.name)
        let advice =
            names.isEmpty
            ? "There are none yet; submit a folder: quire submit FOLDER" : "There are: \(list(names))."
        throw CommandFailure(.usage, "There is no batch named '\(OneLine.text(text))'. \(advice)")
    }

    private static func only(of batches: [Batch]) throws(CommandFailure) -> Batch {
        guard let first = batches.first else {
            throw CommandFailure(.usage, "There are no batches yet; submit a folder: quire submit FOLDER")
        }
        guard batches.count == 1 else {
            throw CommandFailure(.usage, "Name one of the batches: \(list(batches.map(\.name))).")
        }
        return first
    }

    /// The latest names first, not more than a screen's worth.
    private static func list(_ names: [String]) -> String {
        let shown = names.reversed().prefix(12)
        let more = names.count > shown.count ? ", and \(names.count - shown.count) older" : ""
        return shown.map { OneLine.text($0) }.joined(separator: ", ") + more
    }
}
