/// What an open batch with work left waits for, as far as its jobs tell.
package struct BatchWait: Sendable, Codable, Hashable {
    package var batch: Int64
    /// The root below which its files lie.
    package var root: String
    /// Pages can be handed out now.
    package var hasReady: Bool
    /// Where none can: when the first page that waits for another attempt will be ready (ISO 8601, UTC).
    package var due: String?
    package var secondsUntilDue: Double?
    /// Where the first page that waits waits for a file that cannot be read: that file.
    package var file: FaultyFile?

    package struct FaultyFile: Sendable, Codable, Hashable {
        /// Below the batch's folder, as it is shown.
        package var path: String
        package var fault: String

        package init(path: String, fault: String) {
            self.path = path
            self.fault = fault
        }
    }

    package init(
        batch: Int64, root: String, hasReady: Bool, due: String? = nil, secondsUntilDue: Double? = nil,
        file: FaultyFile? = nil
    ) {
        self.batch = batch
        self.root = root
        self.hasReady = hasReady
        self.due = due
        self.file = file
        self.secondsUntilDue = secondsUntilDue
    }
}

/// Pages and files that could not be read for one reason.
package struct ProblemGroup: Sendable, Codable, Hashable {
    /// The latest example's; others differ at most in numbers.
    package var reason: String
    package var count: Int
    package var batch: String
    /// Of the example, below the batch's folder.
    package var path: String
    /// Nil for a whole file.
    package var page: Int?

    package init(reason: String, count: Int, batch: String, path: String, page: Int?) {
        self.reason = reason
        self.count = count
        self.batch = batch
        self.path = path
        self.page = page
    }
}
