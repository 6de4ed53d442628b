private import Glibc
internal import SystemPackage

/// The names in one folder in byte order, packed into one buffer: a folder of a million files costs their names' bytes.
struct FolderNames: Sendable {
    private var bytes: [UInt8] = []
    /// Where each name lies in `bytes`, in order.
    private var places: [Range<UInt32>] = []
    private var next = 0

    /// Takes names over in any order.
    init(_ names: [FilePath.Component]) {
        places.reserveCapacity(names.count)
        for name in names {
            let start = UInt32(bytes.count)
            name.withPlatformString { bytes += UnsafeRawBufferPointer(start: $0, count: strlen($0)) }
            places.append(start..<UInt32(bytes.count))
        }
        bytes.withUnsafeBufferPointer { bytes in
            places.sort { left, right in
                bytes[Int(left.lowerBound)..<Int(left.upperBound)]
                    .lexicographicallyPrecedes(bytes[Int(right.lowerBound)..<Int(right.upperBound)])
            }
        }
    }

    /// The next name; nil after the last.
    mutating func popFirst() -> FilePath.Component? {
        while next < places.count {
            let name = bytes[Int(places[next].lowerBound)..<Int(places[next].upperBound)]
            next += 1
            if let component = (Array(name) + [0]).withUnsafeBufferPointer({ buffer in
                buffer.withMemoryRebound(to: CChar.self) { text in
                    text.baseAddress.flatMap { FilePath.Component(platformString: $0) }
                }
            }) {
                return component
            }
        }
        return nil
    }
}
