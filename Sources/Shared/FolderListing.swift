private import Glibc
package import SystemPackage

/// The names in a folder, as bytes.
package enum FolderListing {
    /// All names but `.` and `..`, in no order.
    ///
    /// Throws what opendir(3) or readdir(3) says: a listing that breaks off is no listing.
    package static func names(in folder: FilePath) throws(Errno) -> [FilePath.Component] {
        var names: [FilePath.Component] = []
        try visit(folder) { name in
            names.append(name)
            return true
        }
        return names
    }

    /// Whether a folder holds nothing; as `names`, and without reading on behind the first name.
    package static func isEmpty(_ folder: FilePath) throws(Errno) -> Bool {
        var isEmpty = true
        try visit(folder) { _ in
            isEmpty = false
            return false
        }
        return isEmpty
    }

    /// Calls `body` with each name until it says false.
    private static func visit(_ folder: FilePath, _ body: (FilePath.Component) -> Bool) throws(Errno) {
        guard let stream = folder.withPlatformString({ opendir($0) }) else { throw Errno(rawValue: errno) }
        defer { closedir(stream) }
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            if let name, name.kind == .regular, !body(name) { return }
            errno = 0
        }
        guard errno == 0 else { throw Errno(rawValue: errno) }
    }
}
