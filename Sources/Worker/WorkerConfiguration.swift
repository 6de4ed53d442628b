internal import Glibc
internal import Inference
internal import Rendering
internal import Shared
internal import SystemPackage

/// What a worker needs to know, checked at the start: flag, then environment, then configuration file, then default.
struct WorkerConfiguration: Sendable {
    let name: String
    let model: FilePath
    /// The GPU that is meant; nil for the processor.
    private let card: DeviceChoice.Card?
    /// Device, threads, precision and memory.
    let engine: EngineOptions
    /// What drawing one document may use.
    let limits: RenderLimits
    /// Where this machine has mounted each named root.
    let roots: [String: FilePath]
    /// Leave when this process is gone.
    let parent: Int32?
    /// Hard limit on how long one claimed range may take before others may have it.
    let leaseSeconds: Double

    init(_ flags: Worker, device: DeviceChoice, settings: Settings) throws {
        card = try device.cards().first
        model = try ModelLocation.find(flag: flags.model, settings: settings)
        let threads = try flags.threads ?? settings.number("QUIRE_THREADS") ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))
        guard (1...1024).contains(threads) else { throw WorkerError.badThreads(threads) }
        let precisionName = flags.precision ?? settings["QUIRE_PRECISION"] ?? Precision.bfloat16.rawValue
        guard let precision = Precision(rawValue: precisionName) else {
            throw WorkerError.badPrecision(precisionName)
        }
        try device.check(precision)
        engine = EngineOptions(
            device: card.map { .cuda($0.ordinal) } ?? .processor, threads: threads, precision: precision,
            memory: try settings.byteCount("QUIRE_MEMORY", flag: flags.memory))
        let rendering = try settings.rendering(
            maxPixels: flags.maxPixels, memory: flags.renderMemory, seconds: flags.renderSeconds)
        limits = RenderLimits(
            memoryBytes: rendering.memoryBytes, secondsPerPage: rendering.seconds.map(Double.init),
            maxPixels: rendering.maxPixels)
        roots = try settings.roots(flags: flags.roots)
        name = flags.name ?? "\(ProcessIdentity.host)-\(getpid())"
        parent = flags.parentPid
        leaseSeconds = flags.leaseSeconds
    }

    /// What `quire status` and the results' provenance say that computes.
    var deviceName: String {
        if let card { return "cuda:\(card.ordinal) (\(card.name), \(engine.precision.rawValue))" }
        return "cpu (\(engine.threads == 1 ? "1 thread" : "\(engine.threads) threads"), \(engine.precision.rawValue))"
    }
}

/// Why a worker cannot start or go on, in a sentence that says what to do.
enum WorkerError: Error, CustomStringConvertible {
    case badThreads(Int)
    case badPrecision(String)

    var description: String {
        switch self {
        case .badPrecision(let name):
            "'\(name)' is no precision: use f32, bf16 or int8 with --precision or QUIRE_PRECISION."
        case .badThreads(let count):
            "\(count) is not a number of threads from 1 to 1024: correct --threads or QUIRE_THREADS."
        }
    }
}
