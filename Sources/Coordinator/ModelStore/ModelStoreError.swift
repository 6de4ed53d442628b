package import SystemPackage

/// Why a model could not be fetched, in sentences that name the URL or the file.
package enum ModelStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The repository, the revision or the endpoint is not written as it should be.
    case badName(String)
    /// No connection could be made.
    case unreachable(url: String, reason: String)
    /// A connection broke, or the answer ended too early.
    case broken(url: String, reason: String)
    /// The server's certificate or protocol cannot be trusted.
    case insecure(url: String, reason: String)
    /// The server answered with a status that is no success; `retrySeconds` is its wish.
    case status(Int, url: String, retrySeconds: Double?)
    /// The server answered, but not with what was asked for.
    case badAnswer(url: String, reason: String)
    /// The repository lacks a file that a model must have.
    case notAModel(url: String, reason: String)
    /// The disk has less free space than what is still to be fetched.
    case noSpace(FilePath, needed: Int64, free: Int64)
    /// A file arrived whole but is not the one that the listing describes; it was deleted.
    case wrongDigest(file: String, url: String, expected: String, found: String)
    /// A local file cannot be read or written.
    case unusableFile(FilePath, reason: String)
    case cancelled

    /// Whether asking again may help.
    var isTransient: Bool {
        switch self {
        case .broken: true
        case .status(let code, _, _): code == 408 || code == 429 || code >= 500
        default: false
        }
    }

    package var description: String {
        switch self {
        case .badName(let reason): reason
        case .unreachable(let url, let reason):
            "No connection for \(url): \(reason). Check the network, the proxy settings and --endpoint."
        case .broken(let url, let reason):
            "The connection for \(url) broke: \(reason). What has arrived is kept: give the same command again."
        case .insecure(let url, let reason): "\(url) cannot be trusted: \(reason). Nothing was fetched from it."
        case .status(let code, let url, _): "\(url) was answered with HTTP status \(code). \(Self.advice(code))"
        case .badAnswer(let url, let reason): "The answer for \(url) cannot be used: \(reason)."
        case .notAModel(let url, let reason): "\(url) lists no model that Quire can read: \(reason)."
        case .noSpace(let path, let needed, let free):
            "\(path) has \(ByteCount.text(free)) free, and \(ByteCount.text(needed)) are needed. "
                + "Make room, or choose another place by --out DIR."
        case .wrongDigest(let file, let url, let expected, let found):
            "\(file) arrived damaged or was changed: its digest is \(found), expected \(expected) (\(url)). "
                + "What arrived was deleted; give the same command again."
        case .unusableFile(let path, let reason): "\(path) cannot be used: \(reason)."
        case .cancelled: "Stopped. What has arrived is kept: give the same command again."
        }
    }

    private static func advice(_ code: Int) -> String {
        switch code {
        case 401, 403: "The repository is closed to you: put an access token into HF_TOKEN, or check the name."
        case 404: "There is no such repository, revision or file: check the name and --revision."
        case 429: "The server asks for patience: try again later. What has arrived is kept."
        case 500...: "The server is in trouble: try again later. What has arrived is kept."
        default: "Check the name and --endpoint."
        }
    }
}

/// Sizes for people.
package enum ByteCount {
    /// Such as `6.67 GB`; decimal units, as disks and networks are sold.
    package static func text(_ bytes: Int64) -> String {
        let units = ["B", "kB", "MB", "GB", "TB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return "\(unit == 0 ? "\(bytes)" : decimal(value, digits: value < 10 ? 2 : value < 100 ? 1 : 0)) \(units[unit])"
    }

    /// A number with a fixed number of digits after the point.
    package static func decimal(_ value: Double, digits: Int) -> String {
        guard digits > 0 else { return "\(Int64(value.rounded()))" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((value.magnitude * scale).rounded())
        let fraction = "\(scaled % Int64(scale))"
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / Int64(scale)).\(zeros)\(fraction)"
    }
}
