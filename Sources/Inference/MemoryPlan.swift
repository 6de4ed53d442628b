private import Glibc

/// How many pages are decoded together in the memory that there is.
package struct MemoryPlan: Sendable, Equatable {
    /// Tokens that a page is reckoned to have, prompt and text: a Base page of some 1,000 words.
    package static let tokensOfPage = 1536
    /// With more pages than this every expert's weights are read for several rows anyway, and nothing is gained.
    package static let mostPages = 64
    /// From some hundred pages on a GPU reads mostly keys and values, and nothing is gained by more.
    package static let mostPagesOnGPU = 512
    /// A rendered A4 page at 200 dpi.
    package static let pageBytes = 12 << 20

    /// Tokens that there is room for in the caches of all pages.
    package let tokens: Int
    /// Pages that are decoded together.
    package let pages: Int

    /// Divides memory.
    ///
    /// - Parameters:
    ///   - memory: bytes for everything.
    ///   - fixed: bytes of weights and activations.
    ///   - tokenBytes: bytes of one token's keys and values.
    ///   - context: the most tokens of a page; there is always room for one such page.
    package init(memory: Int, fixed: Int, tokenBytes: Int, context: Int) {
        self.init(
            left: memory - fixed, pageBytes: Self.pageBytes, tokenBytes: tokenBytes, context: context,
            most: Self.mostPages)
    }

    /// Divides a GPU's memory, in which the weights are already.
    ///
    /// - Parameters:
    ///   - free: bytes that nobody has taken.
    ///   - limit: bytes that may be taken at most, beside the weights.
    ///   - configuration: the model's sizes.
    ///   - positions: positions of views that are encoded together.
    package init(free: Int, limit: Int?, configuration: ModelConfiguration, positions: Int) {
        // What the towers and the experts have at work; a quarter on a small card, where fewer views go together.
        let work = 24 * positions * configuration.sam.width
        let memory = min(free, limit ?? .max)
        self.init(
            left: memory - min(work, memory / 4), pageBytes: 0, tokenBytes: configuration.cacheBytes(.bfloat16),
            context: configuration.decoder.maxPositions, most: Self.mostPagesOnGPU)
    }

    private init(left: Int, pageBytes: Int, tokenBytes: Int, context: Int, most: Int) {
        let left = max(0, left)
        let page = min(context, Self.tokensOfPage) * tokenBytes + pageBytes
        pages = min(most, max(1, left / page))
        tokens = max(context, min(pages * context, (left - min(left, pages * pageBytes)) / tokenBytes))
    }

    /// Four fifths of the bytes that could be used without swapping, also by the limits of this process's group.
    package static var free: Int {
        var free = Int.max
        if let lines = try? MappedText.lines("/proc/meminfo") {
            for line in lines where line.hasPrefix("MemAvailable:") {
                let number = line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
                free = number.map { $0 << 10 } ?? free
            }
        }
        let group = "/sys/fs/cgroup/memory."
        if let limit = (try? MappedText.lines(group + "max"))?.first.flatMap({ Int($0) }),
            let used = (try? MappedText.lines(group + "current"))?.first.flatMap({ Int($0) })
        {
            free = min(free, max(0, limit - used))
        }
        return free == .max ? 8 << 30 : free / 5 * 4
    }
}

/// Small text files of the system, which have no size that could be asked for.
private enum MappedText {
    struct Unreadable: Error {}

    static func lines(_ path: String) throws -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unreadable() }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw Unreadable() }
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
