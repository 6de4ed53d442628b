internal import Digest
package import Rendering
package import Shared
package import SystemPackage

/// Looks into one file: what it is, its digest and its pages.
package struct DocumentSource: Sendable {
    private let renderer: PageRenderer
    private let inspector: DocumentInspector
    private let pauses: [Duration]

    /// `pauses` are those after which a file is looked into again while this machine cannot; others only in tests.
    package init(renderer: PageRenderer, pauses: [Duration] = [1, 2, 4, 8, 15].map { .seconds($0) }) {
        self.renderer = renderer
        inspector = DocumentInspector(renderer)
        self.pauses = pauses
    }

    /// Endings of files that are meant to be documents: such a file that is none is reported, not passed over.
    private static let endings: Set<String> = ["pdf", "tif", "tiff", "png", "jpg", "jpeg", "jpe"]

    /// What was found in a file, and which file that was; nil where it cannot be opened, or does not hold still.
    package struct Look: Sendable {
        package var finding: ScannedFile.Finding
        package var identity: FileIdentity?
        /// Whether it had been written so shortly before it was read that its times may not tell of a later write.
        package var wasYoung = false
        /// Whether what is wrong is the file's, its mount's or this machine's, and not its content's.
        package var isFault = false
        /// Of a document as a whole, such as files attached to it.
        package var notes: [PageNote] = []

        /// A later write might not show in the times of a file that was written just now; then it has none that counts.
        package var stamp: FileStamp? {
            identity.map { identity in
                FileStamp(
                    size: identity.size, modifiedNanoseconds: identity.modifiedNanoseconds,
                    changedNanoseconds: wasYoung ? nil : identity.changedNanoseconds)
            }
        }
    }

    /// What submitting stores about the file: whatever is wrong with it is the finding.
    ///
    /// Digest and pages come from one open file, which is looked into again where it changes meanwhile. `byFreshChild` has
    /// the pages counted by a child that has seen no other file: none can have made it lie. Throws what is wrong with this
    /// machine, which says nothing about the file, and lasts longer than an upgrade of the renderer would.
    package func look(_ path: FilePath, byFreshChild: Bool = false) async throws(RenderError) -> Look {
        for pause in pauses {
            do throws(RenderError) {
                return try await wholeLook(path, byFreshChild)
            } catch {
                do { try await Task.sleep(for: pause) } catch _ { throw error }
            }
        }
        do throws(RenderError) {
            return try await wholeLook(path, byFreshChild)
        } catch {
            // One file for which there is never enough memory must not hold up the others.
            guard error.fault == .machineOrContent else { throw error }
            return Look(finding: .unreadable(reason: error.message), isFault: true)
        }
    }

    /// Throws what is wrong with this machine.
    private func wholeLook(_ path: FilePath, _ byFreshChild: Bool) async throws(RenderError) -> Look {
        for pause in [0.5, 2, nil] as [Double?] {
            let source: SourceFile
            do throws(RenderError) {
                source = try await PageRenderer.blocking { () throws(RenderError) in try SourceFile(path) }
            } catch {
                try await throwIfMachines(error)
                return Look(finding: .unreadable(reason: error.message), isFault: true)
            }
            let wasYoung = source.identity.isYoung()
            let (finding, isFault, notes) = try await finding(source, byFreshChild)
            do throws(RenderError) {
                try await PageRenderer.blocking { () throws(RenderError) in try source.checkUnchanged() }
                return Look(
                    finding: finding, identity: source.identity, wasYoung: wasYoung, isFault: isFault, notes: notes)
            } catch {
                guard error.kind == .changed else {
                    return Look(finding: .unreadable(reason: error.message), isFault: true)
                }
            }
            guard let pause else { break }
            // Unless it is cancelled, whoever writes the file may have ended by then.
            try? await Task.sleep(for: .seconds(pause))
        }
        return Look(
            finding: .unreadable(reason: "The file is being written: submit its folder again when it is whole."),
            isFault: true)
    }

    private func finding(
        _ source: SourceFile, _ byFreshChild: Bool
    ) async throws(RenderError) -> (finding: ScannedFile.Finding, isFault: Bool, notes: [PageNote]) {
        let isMeant = Self.endings.contains(source.path.extension?.lowercased() ?? "")
        do throws(RenderError) {
            let kind = try await PageRenderer.blocking { () throws(RenderError) in
                DocumentKind.sniff(try source.firstBytes(DocumentKind.sniffedBytes))
            }
            guard case .readable = kind else {
                let reason = kind.reason ?? "This is no document that Quire reads."
                return (isMeant ? .unreadable(reason: reason) : .ignored(reason: reason), false, [])
            }
            let sha256 = try await PageRenderer.blocking { () throws(RenderError) in
                try SHA256.hash { buffer, offset throws(RenderError) in try source.read(into: buffer, at: offset) }
            }
            let summary = try await inspector.inspect(source, byFreshChild: byFreshChild)
            guard let format = DocumentFormat(rawValue: summary.format.rawValue) else {
                throw RenderError(
                    .broken, "quire-render took it for a format that this program does not know.")
            }
            return (
                .document(sha256: sha256, format: format, pageCount: summary.pageCount), false,
                summary.notes.map { PageNote(code: $0.code.rawValue, text: $0.text) }
            )
        } catch {
            try await throwIfMachines(error)
            // A slow machine is not told apart from a slow document.
            return (.unreadable(reason: error.message), error.fault != .content || error.kind == .timedOut, [])
        }
    }

    /// What the renderer alone can tell, its own test decides.
    private func throwIfMachines(_ error: RenderError) async throws(RenderError) {
        switch error.fault {
        case .content, .file, .fileOrMount, .mount: return
        case .rendererOrContent: try await renderer.selfTest()
        case .machine, .machineOrContent: throw error
        }
    }
}
