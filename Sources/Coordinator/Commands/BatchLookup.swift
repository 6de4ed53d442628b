internal import Shared

/// Finds the batch that a person means.
enum BatchLookup {
    /// The batch of that name, else of that number; without a name the only batch that there is.
    static func find(_ text: String?, in queue: PageQueue) async throws -> Batch {
        guard let text else { return try only(of: try await queue.batches()) }
        if let batch = try await queue.batch(named: text) { return batch }
        if let id = Int64(text), let batch = try await queue.batch(id: id) { return batch }
        let names = try await queue.batches().map(\.name)
        throw CommandFailure(
            .usage,
            names.isEmpty
                ? "There is no batch '\(text)': nothing has been submitted yet. Begin with `quire submit FOLDER`."
                : "There is no batch '\(text)'. There are: \(list(names)).")
    }

    private static func only(of batches: [Batch]) throws(CommandFailure) -> Batch {
        guard let first = batches.first else {
            throw CommandFailure(.usage, "Nothing has been submitted yet. Begin with `quire submit FOLDER`.")
        }
        guard batches.count == 1 else {
            throw CommandFailure(.usage, "Name one of the batches: \(list(batches.map(\.name))).")
        }
        return first
    }

    /// The latest names first, not more than a screen's worth.
    private static func list(_ names: [String]) -> String {
        let shown = names.reversed().prefix(12)
        return shown.joined(separator: ", ")
            + (names.count > shown.count ? ", and \(names.count - shown.count) older" : "")
    }
}
