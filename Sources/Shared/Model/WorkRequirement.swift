/// What a batch asks of the workers that may do its pages.
package struct WorkRequirement: Sendable, Hashable {
    /// The name of the root that its files lie under.
    package var root: String
    package var modelDigest: String
    package var engineVersion: String
    package var precision: String

    package init(
        root: String, modelDigest: String, engineVersion: String, precision: String = Pipeline.defaultPrecision
    ) {
        self.root = root
        self.modelDigest = modelDigest
        self.engineVersion = engineVersion
        self.precision = precision
    }

    /// Why a worker leaves such pages to others, and what to do, in a sentence; nil where it takes them.
    package func refusal(by worker: WorkerIdentity, roots: some Collection<String>) -> String? {
        if modelDigest != worker.modelDigest {
            return "Pages wait for the model \(modelDigest.prefix(12)), and this worker has "
                + "\(worker.modelDigest.prefix(12)): to have them done, start a worker with that model."
        }
        if engineVersion != worker.engineVersion {
            return "Pages wait that were submitted for Quire's engine \(engineVersion), and this worker has the engine "
                + "\(worker.engineVersion), whose results may differ: start a worker with that one, or submit the folder "
                + "again as a new batch."
        }
        if precision != worker.precision {
            return "Pages wait that were submitted for weights in \(precision), and this worker's are in "
                + "\(worker.precision): to have them done, start a worker with --precision \(precision)."
        }
        if !roots.contains(root) {
            return "Pages wait under the root '\(root)', which this worker does not know: "
                + "to have them done here, start it with --root \(root)=/PATH, where that folder is mounted."
        }
        return nil
    }
}
