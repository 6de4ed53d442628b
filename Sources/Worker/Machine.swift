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

    func absence(of file: SourceLocation, in folder: SourceLocation) async -> FileAbsence {
        await folders.absence(of: file, in: folder)
    }
}
