private import FoundationEssentials
private import Glibc
private import Inference
package import SystemPackage

/// A directory of cases laid out as the golden fixtures; its README says what each file holds.
package struct GoldenFolder: Sendable {
    package let path: FilePath

    package init(_ path: FilePath) { self.path = path }

    /// The names in the directory or one of its folders, sorted; none where there is no such folder.
    package func names(in folder: String? = nil) -> [String] {
        let path = folder.map { self.path.appending($0) } ?? self.path
        guard let directory = path.withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// Whether the directory has a file or folder of this name.
    package func has(_ name: String) -> Bool { path.appending(name).withPlatformString { access($0, F_OK) == 0 } }

    /// The bytes of a file.
    package func bytes(_ name: String) throws(ParityError) -> [UInt8] {
        do throws(InferenceError) {
            return try MappedFile(path.appending(name)).bytes()
        } catch {
            throw ParityError("\(error)")
        }
    }

    /// A JSON file's value.
    package func json<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws(ParityError) -> Value {
        let bytes = try bytes(name)
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch {
            throw ParityError("\(path.appending(name)) is not laid out as expected: \(error)")
        }
    }

    /// The folders that hold a checkpoint's configuration, sorted.
    package var checkpoints: [String] { names().filter { has("\($0)/config.json") } }

    /// The files of whole generations, sorted.
    var generationFiles: [String] { names().filter { $0.hasPrefix("generate-") && $0.hasSuffix(".json") } }

    /// The names of the images, without `.png`.
    package var images: [String] {
        names(in: "images").filter { $0.hasSuffix(".png") }.map { String($0.dropLast(4)) }
    }
}

/// Why a case cannot be run.
package struct ParityError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
