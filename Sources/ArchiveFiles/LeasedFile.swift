package import Claiming
internal import Digest
package import Rendering
internal import Synchronization

/// A file that was opened for a lease, and was found to hold the lease's content.
package final class LeasedFile: Sendable {
    package let source: SourceFile
    private let sha256: SHA256Digest
    /// Whether a write after the content was found right would have shown in the file's times.
    private let isFirm: Mutex<Bool>

    init(_ source: SourceFile, sha256: SHA256Digest, isFirm: Bool) {
        self.source = source
        self.sha256 = sha256
        self.isFirm = Mutex(isFirm)
    }

    /// Throws unless all that was read until now, and found unchanged afterwards, is the lease's content.
    package func verify() async throws(LeaseProblem) {
        do throws(RenderError) {
            try await PageRenderer.blocking { [self] () throws(RenderError) in
                let isFirm = isFirm.withLock { $0 }
                do throws(RenderError) {
                    try source.checkUnchanged()
                } catch {
                    // A share that has gone since says nothing against what was looked at after it was read.
                    if isFirm, error.kind != .changed { return }
                    throw error
                }
                if !isFirm { try readAgain() }
            }
        } catch {
            throw LeaseProblem(error)
        }
    }

    /// Throws unless the content is there, to the last byte: before it is blamed.
    package func verifyContent() async throws(LeaseProblem) {
        do throws(RenderError) {
            try await PageRenderer.blocking { [self] () throws(RenderError) in try readAgain() }
        } catch {
            throw LeaseProblem(error)
        }
    }

    private func readAgain() throws(RenderError) {
        let begun = FileIdentity.now
        let digest = try SHA256.hash { buffer, offset throws(RenderError) in
            try source.read(into: buffer, at: offset)
        }
        try source.checkUnchanged()
        guard digest == sha256 else { throw RenderError(.changed, Self.changed) }
        if !source.identity.isYoung(at: begun) { isFirm.withLock { $0 = true } }
    }

    static let changed = "The file has changed since it was submitted: submit its folder again."
}

extension LeaseProblem {
    package init(_ error: RenderError) {
        let kind: Kind =
            switch error.fault {
            case .content: .content(isPermanent: error.isPermanent)
            case .file: .file
            case .fileOrMount: .fileOrMount
            case .rendererOrContent: .rendererOrContent
            case .machine: .machine
            }
        self.init(kind, reason: error.message)
    }
}
