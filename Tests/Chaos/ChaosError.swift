/// Why a run under fire could not be carried through.
package enum ChaosError: Error, CustomStringConvertible {
    case command(String)
    case tooSlow(String)
    case socket(String)

    package var description: String {
        switch self {
        case .command(let reason), .tooSlow(let reason), .socket(let reason): reason
        }
    }
}
