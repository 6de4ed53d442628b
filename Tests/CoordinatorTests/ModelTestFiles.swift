import Coordinator
import Glibc
import Synchronization
import SystemPackage

/// Collects what a pull tells its user.
final class Lines: Sendable {
    private let text = Mutex("")

    var output: PullProgress.Output {
        PullProgress.Output(isTerminal: false) { piece in self.text.withLock { $0 += piece } }
    }

    var all: String { text.withLock { $0 } }
}

extension FilePath {
    /// The topmost folder of this package.
    static func package(file: StaticString = #filePath) -> FilePath {
        FilePath("\(file)").removingLastComponent().removingLastComponent().removingLastComponent()
    }

    var fileNames: [String] {
        guard let folder = withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    var content: [UInt8]? {
        guard let file = try? FileDescriptor.open(self, .readOnly) else { return nil }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            bytes += buffer.prefix(count)
        }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws {
        let file = try FileDescriptor.open(
            self, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        _ = try file.closeAfter { try file.writeAll(bytes) }
    }

    func makeDirectory() { _ = withPlatformString { mkdir($0, 0o755) } }
}
