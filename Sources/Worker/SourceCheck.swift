internal import Claiming
internal import Digest
internal import Dispatch
internal import Glibc
internal import Shared
internal import SystemPackage

/// Makes sure that a file still is what was submitted: a result must belong to the content that it is stored under.
enum SourceCheck {
    /// Throws unless `file` has the given stamp, or at least the given content.
    static func verify(_ file: FilePath, is sha256: SHA256Digest, stamp: FileStamp) async throws(LeaseProblem) {
        let problem: LeaseProblem? = await withCheckedContinuation { continuation in
            // Hashing a large file blocks for seconds.
            DispatchQueue.global().async { continuation.resume(returning: difference(file, sha256, stamp)) }
        }
        if let problem { throw problem }
    }

    private static func difference(_ file: FilePath, _ sha256: SHA256Digest, _ stamp: FileStamp) -> LeaseProblem? {
        do {
            if try FileStamp(of: file) == stamp { return nil }
            if try SHA256.hash(contentsOf: file) == sha256 { return nil }
        } catch {
            return LeaseProblem(
                reason: "The file cannot be opened on this worker: \(error); check that its root is mounted here.",
                isPermanent: false)
        }
        return LeaseProblem(
            reason: "The file has changed since it was submitted: submit its folder again.", isPermanent: true)
    }
}
