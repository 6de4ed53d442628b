private import Glibc
internal import SystemPackage

/// The names in a folder, as bytes.
enum FolderListing {
    /// All names but `.` and `..`, in no order.
    ///
    /// Throws what opendir(3) or readdir(3) says: a listing that breaks off is no listing.
    static func names(in folder: FilePath) throws(Errno) -> [FilePath.Component] {
        guard let stream = folder.withPlatformString({ opendir($0) }) else { throw Errno(rawValue: errno) }
        defer { closedir(stream) }
        var names: [FilePath.Component] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            if let name, name.kind == .regular { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw Errno(rawValue: errno) }
        return names
    }
}
