/// What steps have in common that do the same to other numbers.
struct StepForm: Hashable {
    let rows: Int
    let sequences: Int
    /// Places for pages of a sequence.
    let pages: Int
    /// Places for the tokens of a sequence that n-grams are looked for in; 0 where nothing is banned.
    let history: Int
    /// The most tokens that can be banned after a sequence.
    let bans: Int

    /// Sequences of steps that are repeated: so few sizes that each comes again soon, so many that little is done in vain.
    static func padded(_ sequences: Int) -> Int {
        switch sequences {
        case ...8: nextPowerOfTwo(sequences)
        case ...64: (sequences + 7) / 8 * 8
        default: (sequences + 31) / 32 * 32
        }
    }

    static func nextPowerOfTwo(_ count: Int) -> Int {
        count <= 1 ? 1 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
    }

    // Places of the numbers, one kind after another.

    var ids: Int { 0 }
    var positions: Int { rows }
    var owners: Int { 2 * rows }
    var lengths: Int { 3 * rows }
    var starts: Int { lengths + sequences }
    var pageTable: Int { starts + sequences + 1 }
    /// Of each sequence: where its history begins, its tokens, its exempt tokens, the n-grams' size.
    var plans: Int { pageTable + sequences * pages }
    var histories: Int { plans + 4 * sequences }
    /// What is chosen.
    var tokens: Int { histories + sequences * history }
    var count: Int { tokens + sequences }
}

/// New tokens of some sequences, with all that kernels need to know of them in a GPU's memory.
package final class CUDAStep {
    let input: StepInput<CUDACache>
    let pool: CUDAPool?
    let form: StepForm
    /// Sequences at the beginning that have one new token each.
    let singles: Int
    /// Whether the step's numbers lie where those of all steps of this form do.
    let isRepeatable: Bool
    /// The numbers' memory: the pool's, or the step's own.
    private let block: DeviceBlock?
    private let address: UInt64

    /// Notes a step; sequences are filled up to a size that comes again where each has one new token.
    init(_ input: StepInput<CUDACache>, on backend: CUDABackend) {
        self.input = input
        pool = input.caches.first?.pool
        singles = input.rows.prefix { $0 == 1 }.count
        let isPlain = singles == input.rows.count && !input.ids.isEmpty
        for (cache, count) in zip(input.caches, input.rows) { cache.advance(count) }

        let total = input.rows.reduce(0, +)
        let bans = input.bans.compactMap { $0 }
        let history = bans.map { $0.history.count + $0.exempt.count }.max() ?? 0
        let banned = bans.map { $0.history.count - $0.size + 1 }.max() ?? 0
        let pages = input.caches.map(\.pages.count).max() ?? 0
        form = StepForm(
            rows: isPlain ? StepForm.padded(total) : total,
            sequences: isPlain ? StepForm.padded(total) : input.rows.count,
            pages: max(8, StepForm.nextPowerOfTwo(pages)),
            history: bans.isEmpty ? 0 : max(128, StepForm.nextPowerOfTwo(history)),
            bans: bans.isEmpty ? 0 : max(64, StepForm.nextPowerOfTwo(banned)))
        if isPlain, let numbers = pool?.numbers, form.count * 4 <= numbers.bytes {
            isRepeatable = true
            block = nil
            address = numbers.address
        } else {
            isRepeatable = false
            let own = backend.context.take(form.count * 4, on: backend.stream)
            block = own
            address = own.address
        }
        let numbers = numbers()
        _ = backend.context.attempt { () throws(InferenceError) in
            let result = numbers.withUnsafeBytes { bytes in
                Result { () throws(InferenceError) in
                    try backend.context.ring(backend.stream).copy(bytes, to: address)
                }
            }
            try result.get()
        }
    }

    /// The address of the numbers from a place on.
    func at(_ place: Int) -> KernelLaunch.Argument { .address(location(place)) }

    func location(_ place: Int) -> UInt64 { address + UInt64(4 * place) }

    private func numbers() -> [Int32] {
        var numbers = Array(repeating: Int32(0), count: form.tokens)
        for (place, id) in input.ids.enumerated() { numbers[form.ids + place] = id }
        var row = 0
        for (sequence, (cache, count)) in zip(input.caches, input.rows).enumerated() {
            for offset in 0..<count {
                numbers[form.positions + row + offset] = Int32(cache.count - count + offset)
                numbers[form.owners + row + offset] = Int32(sequence)
            }
            row += count
            numbers[form.lengths + sequence] = Int32(cache.count)
            numbers[form.starts + sequence + 1] = Int32(row)
            for (place, page) in cache.pages.enumerated() {
                numbers[form.pageTable + sequence * form.pages + place] = page
            }
        }
        // What fills the step up writes to a page that nobody reads.
        for extra in input.rows.count..<form.sequences {
            numbers[form.owners + extra] = Int32(extra)
            numbers[form.lengths + extra] = 1
            numbers[form.starts + extra + 1] = Int32(extra + 1)
            for place in 0..<form.pages {
                numbers[form.pageTable + extra * form.pages + place] = pool?.sparePage ?? 0
            }
        }
        for (sequence, ban) in input.bans.enumerated() {
            guard let ban else { continue }
            let start = sequence * form.history
            let plan = [start, ban.history.count, ban.exempt.count, ban.size]
            for (place, number) in plan.enumerated() { numbers[form.plans + 4 * sequence + place] = Int32(number) }
            for (place, token) in (ban.history + ban.exempt).enumerated() {
                numbers[form.histories + start + place] = token
            }
        }
        return numbers
    }
}
