internal import Glibc
internal import Inference
internal import Shared
internal import SystemPackage

/// What a worker needs to know, checked at the start: flag, then environment, then configuration file, then default.
struct WorkerConfiguration: Sendable {
    let name: String
    let model: FilePath
    /// Threads, precision and memory.
    let engine: EngineOptions
    /// Where this machine has mounted each named root.
    let roots: [String: FilePath]
    /// Leave when this process is gone.
    let parent: Int32?
    /// Hard limit on how long one claimed range may take before others may have it.
    let leaseSeconds: Double

    init(_ flags: Worker, settings: Settings) throws {
        try Self.check(device: flags.device)
        model = try ModelLocation.find(flag: flags.model, settings: settings)
        let threads = try flags.threads ?? settings.number("QUIRE_THREADS") ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))
        guard (1...1024).contains(threads) else { throw WorkerError.badThreads(threads) }
        let precisionName = flags.precision ?? settings["QUIRE_PRECISION"] ?? Precision.bfloat16.rawValue
        guard let precision = Precision(rawValue: precisionName) else {
            throw WorkerError.badPrecision(precisionName)
        }
        engine = EngineOptions(
            threads: threads, precision: precision, memory: try settings.byteCount("QUIRE_MEMORY", flag: flags.memory))
        roots = try settings.roots(flags: flags.roots)
        name = flags.name ?? "\(ProcessIdentity.host)-\(getpid())"
        parent = flags.parentPid
        leaseSeconds = flags.leaseSeconds
    }

    /// Says why a device other than the processor cannot be used.
    private static func check(device: String) throws {
        guard device != "cpu" else { return }
        guard device.hasPrefix("cuda:"), let ordinal = Int(device.dropFirst("cuda:".count)), ordinal >= 0 else {
            throw WorkerError.badDevice(device, reason: "it is neither cpu nor cuda: and a number, as in cuda:0")
        }
        do {
            let found = try CUDADevice.all()
            throw WorkerError.badDevice(
                device,
                reason: found.indices.contains(ordinal)
                    ? "\(found[ordinal].name) is there, but recognition runs on processors only so far"
                    : CUDADevice.Obstacle.noDevice.sentence)
        } catch InferenceError.noDevice(let reason) {
            throw WorkerError.badDevice(device, reason: reason)
        }
    }

    /// What `quire status` and the results' provenance say that computes.
    var deviceName: String {
        "cpu (\(engine.threads == 1 ? "1 thread" : "\(engine.threads) threads"), \(engine.precision.rawValue))"
    }
}

/// Why a worker cannot start or go on, in a sentence that says what to do.
enum WorkerError: Error, CustomStringConvertible {
    case badDevice(String, reason: String)
    case badThreads(Int)
    case badPrecision(String)

    var description: String {
        switch self {
        case .badDevice(let device, let reason):
            "Device '\(device)' cannot be used: \(reason). Use --device cpu."
        case .badPrecision(let name):
            "'\(name)' is no precision: use f32, bf16 or int8 with --precision or QUIRE_PRECISION."
        case .badThreads(let count):
            "\(count) is not a number of threads from 1 to 1024: correct --threads or QUIRE_THREADS."
        }
    }
}
