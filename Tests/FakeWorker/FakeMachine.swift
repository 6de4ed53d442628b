import ArchiveFiles
import Claiming
import Glibc
import Rendering
import Shared
import SystemPackage

/// The machine of a worker that renders nothing: its renderer is a program that has to be there, and startable.
struct FakeMachine: MachineProbe {
    /// Nil where there is none to be missed.
    let renderer: FilePath?
    let folders: ArchiveFolders?

    /// What starting the renderer for a page would meet.
    func startFault() -> LeaseProblem? {
        guard let renderer, renderer.withPlatformString({ access($0, X_OK) }) != 0 else { return nil }
        return LeaseProblem(
            .machine, reason: "quire-render cannot be started (\(renderer)): \(String(cString: strerror(errno))).")
    }

    func rendererFault() async -> String? {
        guard let renderer else { return nil }
        do throws(RenderError) {
            try await PageRenderer(executable: renderer).selfTest()
            return nil
        } catch {
            // Any program will do that can be started.
            return error.kind == .machine ? error.message : nil
        }
    }

    func canRead(anyOf files: [SourceLocation]) async -> Bool { await folders?.canRead(anyOf: files) ?? true }

    func absence(of file: SourceLocation, in folder: SourceLocation) async -> FileAbsence {
        await folders?.absence(of: file, in: folder) ?? .unknown
    }
}
