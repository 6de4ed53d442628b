private import CProcess
private import Glibc

/// Owns one file descriptor and closes it.
struct Descriptor: ~Copyable {
    let raw: Int32

    init(owning raw: Int32) { self.raw = raw }

    deinit { close(raw) }

    /// A descriptor from which nothing can be read.
    static func null() throws(RenderError) -> Descriptor {
        let raw = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard raw >= 0 else { throw RenderError(lastErrorDuring: "open /dev/null") }
        return Descriptor(owning: raw)
    }

    /// An unnamed file in memory.
    static func memoryFile() throws(RenderError) -> Descriptor {
        let raw = quire_memory_file()
        guard raw >= 0 else { throw RenderError(lastErrorDuring: "make a file in memory") }
        return Descriptor(owning: raw)
    }

    /// Writes all bytes; for files, and for pipes with room and a reader.
    borrowing func write(_ bytes: [UInt8]) throws(RenderError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(raw, $0.baseAddress.map { $0 + written }, $0.count - written)
            }
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                throw RenderError(lastErrorDuring: "hand over bytes")
            }
        }
    }

    /// A second descriptor for the same file, above those that a child gets.
    borrowing func duplicate() throws(RenderError) -> Descriptor {
        let copy = fcntl(raw, F_DUPFD_CLOEXEC, 64)
        guard copy >= 0 else { throw RenderError(lastErrorDuring: "copy a descriptor") }
        return Descriptor(owning: copy)
    }
}

/// Both ends of a new pipe, closed in programs that are started.
struct Pipe: ~Copyable {
    let reading: Descriptor
    let writing: Descriptor

    init() throws(RenderError) {
        var ends: [Int32] = [-1, -1]
        guard quire_pipe(&ends) == 0 else { throw RenderError(lastErrorDuring: "make a pipe") }
        reading = Descriptor(owning: ends[0])
        writing = Descriptor(owning: ends[1])
    }

    /// Closes the writing end and hands the other over.
    consuming func takeReading() -> Descriptor { reading }
}

/// Two connected sockets for messages that carry descriptors, closed in programs that are started.
struct SocketPair: ~Copyable {
    let ours: Descriptor
    let theirs: Descriptor

    init() throws(RenderError) {
        var ends: [Int32] = [-1, -1]
        guard quire_socket_pair(&ends) == 0 else { throw RenderError(lastErrorDuring: "make a socket") }
        ours = Descriptor(owning: ends[0])
        theirs = Descriptor(owning: ends[1])
    }

    /// Closes the end of the other side and hands ours over.
    consuming func takeOurs() -> Descriptor { ours }
}

extension RenderError {
    /// The system refused something that does not depend on the document; `errno` says why.
    init(lastErrorDuring action: String) {
        let code = errno
        self.init(
            .machine,
            "The system refused to \(action): \(String(cString: strerror(code))). "
                + "Look at the limits on open files, processes and memory.")
    }
}
