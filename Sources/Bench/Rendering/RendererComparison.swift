import Mutations
import Rendering
import SystemPackage

/// One of Quire's renderers beside others, page by page.
struct RendererComparison {
    let name: String
    let renderer: PageRenderer
    let python: String?
    let scratch: FilePath
    let worst: Int

    private struct Tally {
        var pages = 0
        var failed = 0
        var seconds = 0.0
        var longest = 0.0
        var peakBytes = 0
        var differences: [(page: String, value: Double)] = []
        var sizesDiffer = 0

        mutating func add(seconds taken: Double, peakBytes bytes: Int) {
            pages += 1
            seconds += taken
            longest = max(longest, taken)
            peakBytes = max(peakBytes, bytes)
        }

        func row(_ name: String) -> [String] {
            let drawn = Double(max(1, pages))
            let mean = differences.map(\.value).reduce(0, +) / Double(max(1, differences.count))
            return [
                name, "\(pages)", "\(failed)", SpeedReport.fixed(seconds / drawn, 3), SpeedReport.fixed(longest, 2),
                SpeedReport.fixed(Double(peakBytes) / 1_048_576, 0),
                differences.isEmpty ? "" : SpeedReport.fixed(mean, 2), sizesDiffer == 0 ? "" : "\(sizesDiffer)",
            ]
        }
    }

    /// Draws all pages, each in a process of its own, and says what came of it.
    func table(of documents: [DocumentFolder.Document]) async -> String {
        let memory = ChildMemory()
        defer { memory.stop() }
        var own = Tally()
        var others = ReferenceRenderer.allCases.map { (renderer: $0, tally: Tally()) }
        for document in documents {
            for number in 1...document.summary.pageCount {
                _ = memory.take()
                let session = renderer.session(document.file, pages: number...number)
                guard let page = await session.next() else { continue }
                own.add(seconds: page.seconds, peakBytes: memory.take().resident)
                guard case .success(let image) = page.result else {
                    own.failed += 1
                    continue
                }
                guard document.summary.format == .pdf else { continue }
                for place in others.indices {
                    let reference = others[place].renderer
                    guard
                        let drawn = reference.page(document.file, number, like: image, python: python, in: scratch)
                    else {
                        others[place].tally.failed += 1
                        continue
                    }
                    others[place].tally.add(seconds: drawn.seconds, peakBytes: drawn.peakBytes)
                    if let difference = ReferenceRenderer.difference(image, drawn.image) {
                        others[place].tally.differences.append(("\(document.name), page \(number)", difference))
                    } else {
                        others[place].tally.sizesDiffer += 1
                    }
                }
            }
        }
        let table = TextTable(
            heading: ["renderer", "pages", "failed", "s a page", "longest", "peak MiB", "difference", "other size"],
            rows: [own.row(name)] + others.map { $0.tally.row($0.renderer.name) })
        let lists = others.filter { !$0.tally.differences.isEmpty }.map { other in
            let pages = other.tally.differences.sorted { $0.value > $1.value }.prefix(worst)
            return "Farthest from \(other.renderer.name):\n"
                + pages.map { "  \(SpeedReport.fixed($0.value, 2))  \($0.page)" }.joined(separator: "\n")
        }
        return ([table.text] + lists).joined(separator: "\n\n")
    }
}
