package import SystemPackage

extension FilePath {
    /// The path's bytes, without the NUL at the end.
    package var bytes: [UInt8] {
        withPlatformString { start in
            var bytes: [UInt8] = []
            var index = 0
            while start[index] != 0 {
                bytes.append(UInt8(bitPattern: start[index]))
                index += 1
            }
            return bytes
        }
    }

    /// A path of these bytes, up to the first NUL.
    package init(bytes: [UInt8]) {
        let name = bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
        self = name.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { FilePath(platformString: $0) } ?? FilePath()
        }
    }

    /// The path for people: bytes that are not UTF-8, and control characters, as `\xNN`.
    package var displayText: String {
        var text = ""
        var rest = bytes[...]
        while let first = rest.first {
            let length = Self.sequenceLength(first)
            let piece = rest.prefix(length)
            if piece.count == length, let scalar = String(validating: piece, as: UTF8.self)?.unicodeScalars.first,
                scalar.properties.generalCategory != .control, scalar.properties.generalCategory != .format
            {
                text.unicodeScalars.append(scalar)
                rest = rest.dropFirst(length)
            } else {
                let hex = String(first, radix: 16)
                text += "\\x" + (hex.count == 1 ? "0" : "") + hex
                rest = rest.dropFirst()
            }
        }
        return text
    }

    private static func sequenceLength(_ first: UInt8) -> Int {
        switch first {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
    }
}

extension SourceLocation {
    /// The path below `folder`, or the whole path where it does not lie there.
    package func path(below folder: SourceLocation) -> FilePath {
        var relative = path
        guard root == folder.root, relative.removePrefix(folder.path), !relative.isEmpty else { return path }
        return relative
    }
}
