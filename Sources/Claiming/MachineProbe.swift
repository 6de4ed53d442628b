package import Shared

/// What a worker can find out about its own machine; each answer comes within a minute, whatever the machine does.
package protocol MachineProbe: Sendable {
    /// Why the renderer does not work; nil where it does.
    func rendererFault() async -> String?
    /// Whether one of these files can be opened and read here.
    func canRead(anyOf files: [SourceLocation]) async -> Bool
    /// Whether this file of a batch is missing, and what that may mean; `folder` is the batch's.
    func absence(of file: SourceLocation, in folder: SourceLocation) async -> FileAbsence
}

/// What can be told of a file that cannot be read.
package enum FileAbsence: Sendable, Equatable {
    /// It is there, or whoever would know refuses to say.
    case unknown
    /// The closest folder above it that is there holds others: it was moved.
    case moved
    /// That folder, which is not the batch's, holds nothing: it may be a mount point without its mount.
    case underEmptyFolder
    /// The batch's folder is not there, or holds nothing.
    case withoutBatch
}
