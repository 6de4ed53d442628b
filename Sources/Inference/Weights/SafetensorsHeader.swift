/// The table of contents of one safetensors file, checked against the file's size.
///
/// Layout: 8 bytes little-endian header length, the header as JSON (`name: {dtype, shape, data_offsets}`), then data.
package struct SafetensorsHeader: Sendable {
    /// Where a tensor lies; offsets are from the file's start.
    package struct Entry: Sendable, Equatable {
        package let name: String
        /// The type as the file spells it, for instance `BF16`.
        package let type: String
        package let shape: [Int]
        package let bytes: Range<Int>
    }

    /// Something wrong with the file.
    package struct Problem: Sendable, Equatable {
        /// The tensor that it concerns; nil where it is the whole file.
        package let tensor: String?
        package let reason: String
    }

    package private(set) var entries: [Entry] = []
    package private(set) var problems: [Problem] = []

    /// No header is longer in sane files; the released one has 0.3 MB.
    private static let longest = 100 << 20
    /// Bytes an element of the types that safetensors knows.
    private static let sizes = [
        "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4,
        "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
    ]

    /// Reads the header of a whole file's bytes.
    package init(parsing file: UnsafeRawBufferPointer) {
        guard file.count >= 8 else {
            report(nil, "the file has \(file.count) bytes and no header")
            return
        }
        let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(Self.longest), Int(length) <= file.count - 8 else {
            report(
                nil, "the header is said to have \(length) bytes, but the file has \(file.count - 8) after its length")
            return
        }
        let start = 8 + Int(length)
        let document: JSONValue
        do {
            document = try JSONValue(parsing: file[8..<start])
        } catch {
            report(nil, "the header is \(error)")
            return
        }
        guard let members = document.members else {
            report(nil, "the header is not a JSON object")
            return
        }
        var seen: Set<String> = []
        for member in members where member.key != "__metadata__" {
            guard seen.insert(member.key).inserted else {
                report(member.key, "named twice in the header")
                continue
            }
            readEntry(member, dataStart: start, fileSize: file.count)
        }
        checkOverlaps()
    }

    private mutating func readEntry(_ member: JSONValue.Member, dataStart: Int, fileSize: Int) {
        let name = member.key
        let shape = member.value["shape"]?.elements?.compactMap(\.integer)
        let offsets = member.value["data_offsets"]?.elements?.compactMap(\.integer)
        guard let type = member.value["dtype"]?.text, let shape, shape.allSatisfy({ $0 >= 0 }),
            shape.count == member.value["shape"]?.elements?.count, let offsets, offsets.count == 2
        else {
            report(name, "its header entry lacks dtype, shape or data_offsets")
            return
        }
        guard let size = Self.sizes[type] else {
            report(name, "the element type \(type) is not known")
            return
        }
        guard let wanted = Self.product(shape, size) else {
            report(name, "the shape \(shape) is too large")
            return
        }
        let (begin, end) = (offsets[0], offsets[1])
        guard begin >= 0, end >= begin, end - begin == wanted else {
            report(name, "\(type) \(shape) takes \(wanted) bytes, but data_offsets are \(begin) to \(end)")
            return
        }
        guard end <= fileSize - dataStart else {
            report(
                name,
                "its data ends at byte \(dataStart.addingReportingOverflow(end).partialValue), "
                    + "but the file is cut off at \(fileSize)")
            return
        }
        entries.append(Entry(name: name, type: type, shape: shape, bytes: dataStart + begin..<dataStart + end))
    }

    private mutating func report(_ tensor: String?, _ reason: String) {
        problems.append(Problem(tensor: tensor, reason: reason))
    }

    private mutating func checkOverlaps() {
        let sorted = entries.filter { !$0.bytes.isEmpty }.sorted { $0.bytes.lowerBound < $1.bytes.lowerBound }
        for (first, second) in zip(sorted, sorted.dropFirst()) where second.bytes.lowerBound < first.bytes.upperBound {
            report(second.name, "its data overlaps that of \(first.name)")
        }
    }

    private static func product(_ shape: [Int], _ size: Int) -> Int? {
        var result = size
        for dimension in shape {
            let (next, overflow) = result.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            result = next
        }
        return result
    }
}
