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
            try await PatientReading.run { [self] progress throws(RenderError) in
                let isFirm = isFirm.withLock { $0 }
                do throws(RenderError) {
                    try source.checkUnchanged()
                } catch {
                    // A share that has gone since says nothing against what was looked at after it was read.
                    if isFirm, error.kind != .changed { return }
                    throw error
                }
                if !isFirm { try readAgain(progress) }
            }
        } catch {
            if error.kind == .unanswered, isFirm.withLock({ $0 }) { return }
            throw LeaseProblem(error)
        }
    }

    /// Throws unless the content is there, to the last byte: before it is blamed.
    package func verifyContent() async throws(LeaseProblem) {
        do throws(RenderError) {
            try await PatientReading.run { [self] progress throws(RenderError) in try readAgain(progress) }
        } catch {
            throw LeaseProblem(error)
        }
    }

    private func readAgain(_ progress: PatientReading.Progress) throws(RenderError) {
        let begun = FileIdentity.now
        let digest = try source.digest(progress)
        try source.checkUnchanged()
        guard digest == sha256 else { throw RenderError(.changed, Self.changed) }
        if !source.identity.isYoung(at: begun) { isFirm.withLock { $0 = true } }
    }

    static let changed = "The file has changed since it was submitted: submit its folder again."
}

extension SourceFile {
    /// Of all its bytes, as they are now.
    func digest(_ progress: PatientReading.Progress) throws(RenderError) -> SHA256Digest {
        try SHA256.hash { buffer, offset throws(RenderError) in
            progress.advance()
            return try read(into: buffer, at: offset)
        }
    }
}

extension LeaseProblem {
    package init(_ error: RenderError) {
        let kind: Kind =
            switch error.fault {
            case .content: .content(isPermanent: error.isPermanent)
            case .file: .file
            case .fileOrMount: .fileOrMount
            case .mount: .mount
            case .rendererOrContent: .rendererOrContent
            case .machineOrContent: .machineOrContent
            case .machine: .machine
            }
        self.init(kind, reason: error.message)
    }
}
