private import Glibc

/// The command line as bytes: file names need not be UTF-8, and the argument parser knows only String.
///
/// A byte that is not UTF-8 travels through the parser as a scalar of its own, at the end of the last private-use plane.
package enum RawArguments {
    private static let base: UInt32 = 0x10FF00

    /// The arguments of this process without the program's name, escaped.
    package static func escaped() -> [String] {
        CommandLine.unsafeArguments.dropFirst().map { escape($0) }
    }

    /// Valid UTF-8 as it is; every other byte as its scalar.
    package static func escape(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var result = String.UnicodeScalarView()
        var rest = bytes[...]
        while let first = rest.first {
            let length = (2...4).first { String(validating: rest.prefix($0), as: UTF8.self)?.unicodeScalars.count == 1 }
            if first < 0x80 {
                result.append(Unicode.Scalar(first))
                rest = rest.dropFirst()
            } else if let length,
                let scalar = String(validating: rest.prefix(length), as: UTF8.self)?.unicodeScalars.first
            {
                result.append(scalar)
                rest = rest.dropFirst(length)
            } else {
                if let scalar = Unicode.Scalar(base + UInt32(first)) { result.append(scalar) }
                rest = rest.dropFirst()
            }
        }
        return String(result)
    }

    /// The bytes that `escape` was given.
    package static func bytes(_ text: String) -> [UInt8] {
        text.unicodeScalars.flatMap { scalar in
            scalar.value >= base + 0x80 && scalar.value <= base + 0xFF
                ? [UInt8(truncatingIfNeeded: scalar.value)] : Array(String(scalar).utf8)
        }
    }
}

extension CommandLine {
    fileprivate static var unsafeArguments: [[UInt8]] {
        (0..<Int(argc)).compactMap { index in
            // Not by way of FilePath, which would make one slash of two, as in an address.
            unsafeArgv[index].map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
        }
    }
}
