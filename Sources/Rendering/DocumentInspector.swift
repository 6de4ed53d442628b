private import Synchronization
package import SystemPackage

/// Counts the pages of many documents with few children: starting one takes longer than a hundred small files.
///
/// Each document has the limits of time and memory for itself. What goes wrong costs that document only, and is
/// always what a child said that had seen no other document before. As many children run as there are calls at the
/// same time; they end with this object.
package final class DocumentInspector: Sendable {
    private let executable: FilePath
    private let limits: RenderLimits
    private let idle = Mutex<[InspectionChild]>([])

    package init(_ renderer: PageRenderer) {
        executable = renderer.executable
        limits = renderer.limits
    }

    /// Counts the pages of a document; reads the password from `<file name>.password` beside it where that exists.
    package func inspect(_ file: FilePath) async throws(RenderError) -> DocumentSummary {
        try await PageRenderer.blocking { [self] () throws(RenderError) in try summary(try SourceFile(file)) }
    }

    /// Counts the pages of an opened document; `byFreshChild` has it done by a child that has seen no other.
    package func inspect(
        _ source: SourceFile, byFreshChild: Bool = false
    ) async throws(RenderError) -> DocumentSummary {
        try await PageRenderer.blocking { [self] () throws(RenderError) in try summary(source, byFreshChild) }
    }

    private func summary(
        _ source: SourceFile, _ byFreshChild: Bool = false
    ) throws(RenderError) -> DocumentSummary {
        let document = try DocumentFile(source)
        do throws(RenderError) {
            let format = try document.format()
            let (opened, notes) = try opened(document, byFreshChild)
            guard opened.number >= 1, DocumentFormatName.allCases.firstIndex(of: format) == Int(opened.width) else {
                throw RenderError(
                    .broken,
                    "quire-render took the document for another format: install the one "
                        + "that belongs to this program.")
            }
            try source.checkUnchanged()
            return DocumentSummary(format: format, pageCount: Int(opened.number), notes: notes)
        } catch {
            // A file that is being written looks damaged, and is not.
            try source.checkUnchanged()
            throw error
        }
    }

    private func opened(
        _ document: borrowing DocumentFile, _ byFreshChild: Bool
    ) throws(RenderError) -> (FrameHeader, [RenderNote]) {
        if !byFreshChild, let child = idle.withLock({ $0.popLast() }) {
            do throws(RenderError) {
                return try answer(child, document)
            } catch {
                // The time is counted for each document alone. All else may come from an earlier document, or from the
                // child's having been killed meanwhile: a new one decides.
                if error.kind == .timedOut { throw error }
            }
        }
        return try answer(try InspectionChild(executable, limits: limits), document)
    }

    private func answer(
        _ child: InspectionChild, _ document: borrowing DocumentFile
    ) throws(RenderError) -> (FrameHeader, [RenderNote]) {
        let opened = try child.opened(document)
        if !child.isSpent { idle.withLock { $0.append(child) } }
        return opened
    }
}
