private import Glibc
internal import SystemPackage

/// The names in one folder in byte order, packed into one buffer: a folder of a million files costs their names' bytes.
struct FolderNames: Sendable {
    private var bytes: [UInt8] = []
    /// Where each name lies in `bytes`, in order.
    private var places: [Range<UInt32>] = []
    private var next = 0

    /// A name's bytes, without the NUL at the end.
    static func bytes(of name: FilePath.Component) -> [UInt8] {
        name.withPlatformString { [UInt8](UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }

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

    /// Whether a name is among them, those that were popped included.
    func contains(_ name: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var (low, high) = (0, places.count)
            while low < high {
                let middle = (low + high) / 2
                let other = bytes[Int(places[middle].lowerBound)..<Int(places[middle].upperBound)]
                if other.elementsEqual(name) { return true }
                if other.lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
            }
            return false
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
