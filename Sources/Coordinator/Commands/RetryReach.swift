internal import Shared

/// Whether there can be a worker that does what a retry asks for.
enum RetryReach {
    /// Throws where there can be none: neither this program's workers nor those that run are of the batch's engine.
    ///
    /// Returns what is to be said where there could be one and is none now.
    static func check(_ batch: Batch, workers: [WorkerStatus]) throws(CommandFailure) -> String? {
        let pipeline = batch.pipeline
        let engine = OneLine.text(pipeline.engineVersion)
        let ofEngine = workers.filter { $0.engineVersion == pipeline.engineVersion }
        guard pipeline.engineVersion == QuireVersion.engine || !ofEngine.isEmpty else {
            throw CommandFailure(
                .usage,
                "Batch \(OneLine.text(batch.name)) was read by version \(engine) of the engine. This program has version "
                    + "\(QuireVersion.engine), and no worker has \(engine), so nobody could read its pages again. Nothing was "
                    + "changed. Start a worker of that version, or submit the folder again with this one (--name NEW).")
        }
        let precision = OneLine.text(pipeline.precision)
        guard ofEngine.contains(where: { $0.precision == pipeline.precision && $0.modelDigest == pipeline.modelDigest })
        else {
            return
                "No worker with the batch's model (\(pipeline.modelDigest.prefix(12))) and precision (\(precision)) runs "
                + "now. Start one: quire-worker --model DIR --precision \(precision)"
        }
        return nil
    }
}
