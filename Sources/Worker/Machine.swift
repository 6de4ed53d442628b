internal import ArchiveFiles
internal import Claiming
internal import Rendering
internal import Shared

/// This machine, as a worker tests it.
struct Machine: MachineProbe {
    let renderer: PageRenderer
    let folders: ArchiveFolders

    func rendererFault() async -> String? {
        do throws(RenderError) {
            try await renderer.selfTest()
            return nil
        } catch {
            return error.message
        }
    }

    func canRead(anyOf files: [SourceLocation]) async -> Bool { await folders.canRead(anyOf: files) }

    func hasEntries(_ folder: SourceLocation) async -> Bool { await folders.hasEntries(folder) }

    func isMissing(_ file: SourceLocation) async -> Bool { await folders.isMissing(file) }
}
