package import ArgumentParser
internal import Inference
internal import Shared
package import SystemPackage

/// `quire retry`.
package struct RetryCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Recognises pages again.",
        discussion: """
            By default the pages that failed. One document or one page may be named, by its path below the batch's folder:

              quire retry letters
              quire retry letters --document 1931/july.pdf --mode base
              quire retry letters --page 1931/july.pdf:7 --prompt $'<image>\\nFree OCR.'

            What a page has stays, and is exported, until its successor is there; where the new attempt fails, good text \
            stays for good. `quire run` or a worker does the work. Refused where none can: where the batch belongs to another \
            version of the engine, and no worker of that version is there.
            """)

    @Argument(help: "The batch's name or number. [default: the only one]")
    package var batch: String?

    @Flag(help: "All pages that failed or are quarantined (this is the default).")
    package var failed = false

    @Option(help: ArgumentHelp("A document's failed pages; with --all its other pages too.", valueName: "path"))
    package var document: PathArgument?

    @Option(help: ArgumentHelp("One page, whatever became of it.", valueName: "path:number"))
    package var page: PathArgument?

    @Flag(help: "With --document: all pages, not only those that failed. This is what --mode and --prompt mean, too.")
    package var all = false

    @Option(help: "The resolution mode to use instead of the batch's.")
    package var mode: PipelineOptions.Mode?

    @Option(help: "The prompt to use instead of the batch's, with <image> where the page goes.")
    package var prompt: String?

    package init() {}

    package mutating func validate() throws {
        guard [failed, document != nil, page != nil].count(where: \.self) <= 1 else {
            throw ValidationError("Give only one of --failed, --document and --page.")
        }
        if all, document == nil { throw ValidationError("--all goes with --document.") }
        if let page, PageReference(page.path.bytes) == nil {
            throw ValidationError("--page is written PATH:NUMBER, such as letters/july.pdf:7.")
        }
        if let prompt { try PipelineOptions.check(prompt: prompt) }
    }

    package func run() async throws {
        try await Sessions.with(try Settings()) { session in
            let queue = session.queue
            let batch = try await BatchLookup.batch(named: batch, in: queue)
            let hint = try RetryReach.check(batch, workers: try await queue.workers())
            let count = try await queue.retry(
                try await selection(in: batch, queue), batch: batch.id,
                override: mode == nil && prompt == nil ? nil : PipelineOverride(mode: mode?.name, prompt: prompt))
            guard count > 0 else {
                return Console.line("Batch \(batch.name) has no such page that is not queued already.")
            }
            try await queue.notifySubmitted()
            Console.line(
                "\(NumberText.count(count, "page")) of batch \(batch.name) queued again. What they have stays until then."
            )
            if let hint { Console.line(hint) }
        }
    }

    private func selection(in batch: Batch, _ queue: PageQueue) async throws -> RetrySelection {
        if let page, let reference = PageReference(page.path.bytes) {
            return .page(document: try await document(reference.path, in: batch, queue), page: reference.page)
        }
        guard let document else { return .failed }
        // Asking for another mode only makes sense for pages that have a result.
        return .document(
            id: try await self.document(document.path, in: batch, queue),
            includingDone: all || mode != nil || prompt != nil)
    }

    private func document(_ path: FilePath, in batch: Batch, _ queue: PageQueue) async throws -> Int64 {
        let matches = try await queue.documents(matching: path, batch: batch.id)
        guard let first = matches.first else {
            throw CommandFailure(.usage, "Batch \(batch.name) has no document \(path.displayText).")
        }
        guard matches.count == 1 else {
            let paths = matches.prefix(8).map { $0.location.path(below: batch.source).displayText }
            throw CommandFailure(
                .usage,
                "\(path.displayText) is the end of several paths: \(paths.joined(separator: ", ")). Write more of it.")
        }
        return first.id
    }
}

/// A page as people write it: the document's path, a colon and the page's number.
package struct PageReference: Sendable, Equatable {
    package let path: FilePath
    /// Counted from 1.
    package let page: Int

    /// Splits at the last colon; nil unless a number of at least 1 follows a path.
    package init?(_ bytes: [UInt8]) {
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), colon > 0,
            let page = Int(String(decoding: bytes[(colon + 1)...], as: UTF8.self)), page > 0
        else { return nil }
        path = FilePath(bytes: Array(bytes[..<colon]))
        self.page = page
    }
}
