internal import Inference
internal import Shared
internal import SystemPackage

/// The engine on a thread of its own: forward passes block.
actor Recogniser {
    private let executor = QueueExecutor(label: "quire.recogniser")
    private let engine: OCREngine

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(engine: OCREngine) { self.engine = engine }

    /// Recognises one page; throws `cancelled` once `isCancelled` says so.
    func recognise(
        _ image: RGBImage, request: RecognitionRequest, isCancelled: @escaping @Sendable () -> Bool
    ) throws(InferenceError) -> Recognition {
        try engine.recognise(image, request: request, isCancelled: isCancelled)
    }
}
