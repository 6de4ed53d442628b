/// What is to compute, as people name it: `cpu`, `cuda:0` for a GPU by its number, or `all` for every GPU.
package enum DeviceChoice: Sendable, Equatable, CustomStringConvertible {
    case processor
    case card(Int)
    case allCards

    /// - Throws: `DeviceRefusal` where it is none of these.
    package init(_ name: String) throws(DeviceRefusal) {
        switch name {
        case "cpu": self = .processor
        case "all": self = .allCards
        default:
            guard name.hasPrefix("cuda:"), let ordinal = Int(name.dropFirst("cuda:".count)), ordinal >= 0 else {
                throw DeviceRefusal(
                    device: name, reason: "it is neither cpu nor cuda: and a number, as in cuda:0, nor all")
            }
            self = .card(ordinal)
        }
    }

    package var description: String {
        switch self {
        case .processor: "cpu"
        case .card(let ordinal): "cuda:\(ordinal)"
        case .allCards: "all"
        }
    }

    /// A GPU that is meant.
    package struct Card: Sendable {
        package let ordinal: Int
        package let name: String
    }

    /// The GPUs that are meant; none for the processor.
    ///
    /// - Throws: `DeviceRefusal` that says why one cannot be used.
    package func cards(driver: CUDADevice.Driver = .system) throws(DeviceRefusal) -> [Card] {
        guard self != .processor else { return [] }
        let found: [Card]
        do throws(InferenceError) {
            found = try CUDADevice.all(driver: driver).enumerated().map { Card(ordinal: $0, name: $1.name) }
        } catch {
            throw DeviceRefusal(device: description, reason: error.reason)
        }
        guard case .card(let ordinal) = self else { return found }
        guard found.indices.contains(ordinal) else {
            throw DeviceRefusal(device: description, reason: CUDADevice.Obstacle.noDevice.sentence)
        }
        return [found[ordinal]]
    }

    /// Refuses a precision that the device does not know.
    package func check(_ precision: Precision) throws(DeviceRefusal) {
        guard self != .processor, precision != .bfloat16 else { return }
        throw DeviceRefusal(device: description, reason: "a GPU computes in bf16, not in \(precision.rawValue)")
    }
}

extension InferenceError {
    /// What is wrong, without what to do.
    fileprivate var reason: String {
        switch self {
        case .noDevice(let reason), .deviceFailed(let reason, _): reason
        default: description
        }
    }
}

/// Why a device cannot be used, in a sentence that says what to do.
package struct DeviceRefusal: Error, Equatable, CustomStringConvertible {
    package let device: String
    package let reason: String

    package var description: String { "Device '\(device)' cannot be used: \(reason). Use --device cpu." }
}
