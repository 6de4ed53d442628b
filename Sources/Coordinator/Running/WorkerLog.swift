internal import FoundationEssentials
private import Glibc
private import Synchronization
package import SystemPackage

/// What local workers say: kept in a file, with the last lines at hand.
package final class WorkerLog: Sendable {
    private struct State {
        var file: FileDescriptor?
        var lastLines: [String: [String]] = [:]
    }

    /// Nil where no file can be written; then only the last lines are kept.
    package let path: FilePath?
    private let state: Mutex<State>

    private static let keptLines = 8
    /// A log that has grown so large is put aside once, when a run begins.
    private static let largestBytes = 16 << 20

    /// Opens `workers.log` in `directory`, which is made if need be.
    package init(directory: FilePath) {
        let path = directory.appending("workers.log")
        _ = directory.withPlatformString { mkdir($0, 0o755) }
        var info = stat()
        if path.withPlatformString({ stat($0, &info) }) == 0, info.st_size > Self.largestBytes {
            let older = directory.appending("workers.log.1")
            _ = path.withPlatformString { from in older.withPlatformString { rename(from, $0) } }
        }
        let file = try? FileDescriptor.open(
            path, .writeOnly, options: [.create, .append, .closeOnExec], permissions: [.ownerReadWrite, .groupRead])
        self.path = file == nil ? nil : path
        state = Mutex(State(file: file))
    }

    deinit {
        state.withLock { try? $0.file?.close() }
    }

    /// Adds one line of a worker.
    package func add(_ line: String, worker: String) {
        let text = "\(Date.now.formatted(.iso8601)) \(worker): \(line)\n"
        state.withLock { state in
            _ = try? state.file?.writeAll(Array(text.utf8))
            state.lastLines[worker, default: []].append(line)
            if let count = state.lastLines[worker]?.count, count > Self.keptLines {
                state.lastLines[worker]?.removeFirst(count - Self.keptLines)
            }
        }
    }

    /// The last lines of a worker, oldest first.
    package func lastLines(of worker: String) -> [String] {
        state.withLock { $0.lastLines[worker] ?? [] }
    }
}
