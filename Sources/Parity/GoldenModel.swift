import Inference
import SystemPackage

/// A checkpoint of the folder, loaded.
struct GoldenModel {
    let directory: FilePath
    let model: DeepSeekOCR<CPUBackend>

    init(_ folder: GoldenFolder, _ checkpoint: String, threads: Int) throws(ParityError) {
        directory = folder.path.appending(checkpoint)
        do throws(InferenceError) {
            let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
            let weights = try Checkpoint(directory: directory, configuration: configuration)
            let backend = CPUBackend(threads: threads)
            model = try DeepSeekOCR(checkpoint: weights, configuration: configuration, backend: backend)
        } catch {
            throw ParityError("\(error)")
        }
    }

    /// How many ids of a prompt stand for image embeddings.
    func imageTokens(in ids: [Int32]) -> Int { ids.count { $0 == model.configuration.imageToken } }
}
