/// Byte-pair merging by rank: the lowest rank first, the leftmost of equals first.
struct BytePairMerger: Sendable {
    private struct Merge {
        let rank: UInt32
        let id: Int32
    }

    private let byteIDs: [Int32]
    private let merges: [UInt64: Merge]

    init(merges list: TokenizerFile.Merges, vocabulary: [String: Int32]) throws(TokenizerFault) {
        var byteIDs: [Int32] = []
        for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
            guard let id = vocabulary[String(scalar)] else {
                throw TokenizerFault(
                    "its vocabulary has no token for the byte \(byte) (\(String(scalar).debugDescription))")
            }
            byteIDs.append(id)
        }
        self.byteIDs = byteIDs
        var merges: [UInt64: Merge] = [:]
        var rank: UInt32 = 0
        func add(_ left: Substring, _ right: Substring) throws(TokenizerFault) {
            guard let a = vocabulary[String(left)], let b = vocabulary[String(right)],
                let id = vocabulary[String(left) + String(right)]
            else {
                throw TokenizerFault(
                    "the merge of \(left.debugDescription) and \(right.debugDescription) names no tokens")
            }
            merges[Self.key(a, b)] = Merge(rank: rank, id: id)
            rank += 1
        }
        switch list {
        case .strings(let strings):
            merges.reserveCapacity(strings.count)
            for string in strings {
                let parts = string.split(separator: " ", omittingEmptySubsequences: false)
                guard parts.count == 2 else {
                    throw TokenizerFault("the merge \(string.debugDescription) is not a pair")
                }
                try add(parts[0], parts[1])
            }
        case .pairs(let pairs):
            merges.reserveCapacity(pairs.count)
            for pair in pairs {
                guard pair.count == 2 else { throw TokenizerFault("the merge \(pair) is not a pair") }
                try add(pair[0][...], pair[1][...])
            }
        }
        self.merges = merges
    }

    /// The ids of one piece of text.
    func merged(_ piece: [UInt8]) -> [Int32] {
        var ids = piece.map { byteIDs[Int($0)] }
        guard ids.count > 1 else { return ids }
        // A linked list over positions; `after` of the last is the count, a merged position's id is -1.
        let end = ids.count
        var before = Array(-1..<(end - 1))
        var after = Array(1...end)
        var queue = RankQueue()
        func rank(at position: Int) -> UInt64? {
            guard ids[position] >= 0, after[position] < end else { return nil }
            return merges[Self.key(ids[position], ids[after[position]])].map {
                UInt64($0.rank) << 32 | UInt64(position)
            }
        }
        for position in 0..<(end - 1) {
            if let entry = rank(at: position) { queue.push(entry) }
        }
        while let entry = queue.pop() {
            let position = Int(entry & 0xFFFF_FFFF)
            // The pair may have changed since it was queued.
            guard rank(at: position) == entry, let merge = merges[Self.key(ids[position], ids[after[position]])] else {
                continue
            }
            let gone = after[position]
            ids[position] = merge.id
            ids[gone] = -1
            after[position] = after[gone]
            if after[gone] < end { before[after[gone]] = position }
            if let entry = rank(at: position) { queue.push(entry) }
            if before[position] >= 0, let entry = rank(at: before[position]) { queue.push(entry) }
        }
        return ids.filter { $0 >= 0 }
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}

/// A binary heap that gives the smallest number first.
private struct RankQueue {
    private var heap: [UInt64] = []

    mutating func push(_ value: UInt64) {
        heap.append(value)
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func pop() -> UInt64? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var at = 0
        while true {
            let left = 2 * at + 1
            guard left < heap.count else { return first }
            let child = left + 1 < heap.count && heap[left + 1] < heap[left] ? left + 1 : left
            guard heap[child] < heap[at] else { return first }
            heap.swapAt(at, child)
            at = child
        }
    }
}
