import Foundation
package import SystemPackage

/// A folder as a disk holds it after a power cut, reckoned from what a program did there.
///
/// The program runs with `libquire-power-cut.so` (`Tests/PowerCut`), which notes each operation. A file's bytes are on the
/// disk when the file was synced, a name when its folder was; what was not synced may be there or not.
package final class PowerCut {
    /// What becomes of that which was not synced.
    package enum Loss: Sendable, Hashable {
        /// All is there: a program that was killed, not a machine.
        case none
        /// Nothing of it is there.
        case everything
        /// Names are there, files are empty.
        case contents
        /// Names are there, files have their length and hold zeros.
        case zeros
        /// Each folder has the names up to some moment; each file is whole, cut, zeros or empty.
        case some(seed: UInt64)
    }

    /// Below it everything is watched; it has to exist.
    package let root: FilePath
    private let scratch: TemporaryDirectory
    private let before: FilePath

    /// Remembers what is in `root`, all of it on the disk.
    package init(watching root: FilePath) throws {
        self.root = root
        scratch = try TemporaryDirectory(prefix: "quire-power-cut")
        before = scratch.path.appending("before")
        try FileManager.default.copyItem(atPath: root.string, toPath: before.string)
    }

    private var log: FilePath { scratch.path.appending("log") }

    /// What the program is told; it is killed at operation `after`, or, with `error`, finds that every further one fails.
    package func environment(after: Int? = nil, error: Int32? = nil, isFolding: Bool = false) -> [String: String?] {
        [
            "LD_PRELOAD": RunningProgram.product("libquire-power-cut.so").string, "QUIRE_CUT_ROOT": root.string,
            "QUIRE_CUT_LOG": log.string, "QUIRE_CUT_AFTER": after.map(String.init),
            "QUIRE_CUT_ERROR": error.map(String.init), "QUIRE_CUT_FOLD": isFolding ? "1" : nil,
        ]
    }

    /// What the program did: verbs and paths.
    package func operations() -> [[String]] {
        let text = (try? String(contentsOfFile: log.string, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map { $0.components(separatedBy: "\t") }
    }

    /// Puts everything back as it was before the program ran.
    package func reset() throws {
        try FileManager.default.removeItem(atPath: root.string)
        try FileManager.default.copyItem(atPath: before.string, toPath: root.string)
        try? FileManager.default.removeItem(atPath: log.string)
    }

    /// Leaves in the folder what the disk holds.
    package func lose(_ loss: Loss) throws {
        guard loss != .none else { return }
        var seed: UInt64 = 0
        if case .some(let own) = loss { seed = own }
        var generator = SeededGenerator(seed: seed)
        let tree = Node(isFolder: true)
        try load(before, into: tree)
        for operation in operations() { try tree.replay(operation, below: root.string, copies: log.string) }
        let after = scratch.path.appending("after")
        try? FileManager.default.removeItem(atPath: after.string)
        try tree.write(to: after, loss, &generator)
        try FileManager.default.removeItem(atPath: root.string)
        try FileManager.default.copyItem(atPath: after.string, toPath: root.string)
    }

    /// All files below a folder with their bytes, and all folders.
    package static func tree(_ folder: FilePath) throws -> [String: [UInt8]?] {
        var tree: [String: [UInt8]?] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.string) {
            let path = folder.string + "/" + name
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            let bytes = isFolder.boolValue ? nil : FileManager.default.contents(atPath: path).map { Array($0) }
            tree.updateValue(bytes, forKey: name)
        }
        return tree
    }

    private func load(_ folder: FilePath, into node: Node) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.string) {
            let path = folder.appending(name)
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: path.string, isDirectory: &isFolder)
            let child = Node(isFolder: isFolder.boolValue)
            if isFolder.boolValue { try load(path, into: child) }
            child.durable = FileManager.default.contents(atPath: path.string) ?? Data()
            child.length = child.durable.count
            node.names[name] = child
            node.durableNames[name] = child
        }
    }

    /// A file or folder, as programs see it and as the disk holds it.
    final class Node {
        let isFolder: Bool
        var names: [String: Node] = [:]
        var durableNames: [String: Node] = [:]
        /// Changes of names since the folder was synced; each is one for the disk, too.
        private var changes: [[(String, Node?)]] = []
        var durable = Data()
        /// Bytes that were written, known only where they were synced in the end.
        var length = 0
        private var isSynced = true

        init(isFolder: Bool) { self.isFolder = isFolder }

        func replay(_ operation: [String], below root: String, copies: String) throws {
            func find(_ path: String) -> (folder: Node, name: String)? {
                var components = path.dropFirst(root.count).split(separator: "/").map(String.init)
                guard let name = components.popLast() else { return nil }
                var node = self
                for component in components {
                    guard let next = node.names[component] else { return nil }
                    node = next
                }
                return (node, name)
            }
            let (verb, path) = (operation[0], operation[1])
            if verb == "sync", path == root { return syncNames() }
            guard let (folder, name) = find(path) else { return }
            switch verb {
            case "create", "mkdir":
                let node = Node(isFolder: verb == "mkdir")
                node.isSynced = false
                folder.change([(name, node)])
            case "empty", "write": folder.names[name]?.isSynced = false
            case "unlink", "rmdir": folder.change([(name, nil)])
            case "link":
                if let (other, alias) = find(operation[2]), let node = folder.names[name] {
                    other.change([(alias, node)])
                }
            case "rename":
                guard let (other, alias) = find(operation[2]), let node = folder.names[name] else { return }
                if other === folder {
                    folder.change([(name, nil), (alias, node)])
                } else {
                    folder.change([(name, nil)])
                    other.change([(alias, node)])
                }
            case "sync":
                guard let node = folder.names[name] else { return }
                if node.isFolder { return node.syncNames() }
                node.durable = FileManager.default.contents(atPath: copies + "." + operation[2]) ?? Data()
                node.length = node.durable.count
                node.isSynced = true
            default: break
            }
        }

        private func change(_ parts: [(String, Node?)]) {
            for (name, node) in parts { names[name] = node }
            changes.append(parts)
        }

        private func syncNames() {
            durableNames = names
            changes = []
        }

        func write(to path: FilePath, _ loss: Loss, _ generator: inout SeededGenerator) throws {
            guard isFolder else {
                var bytes = durable
                if !isSynced {
                    switch loss {
                    case .zeros: bytes = Data(count: max(length, 100))
                    case .some:
                        switch Int.random(in: 0..<4, using: &generator) {
                        case 0: bytes = Data(durable.prefix(durable.count / 2))
                        case 1: bytes = Data(count: max(length, 100))
                        case 2: bytes = Data()
                        default: break
                        }
                    default: bytes = durable
                    }
                }
                return try bytes.write(to: URL(filePath: path.string))
            }
            try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
            var left = durableNames
            let kept =
                switch loss {
                case .none, .contents, .zeros: changes.count
                case .everything: 0
                case .some: Int.random(in: 0...changes.count, using: &generator)
                }
            for change in changes.prefix(kept) { for (name, node) in change { left[name] = node } }
            for (name, node) in left.sorted(by: { $0.key < $1.key }) {
                try node.write(to: path.appending(name), loss, &generator)
            }
        }
    }
}
