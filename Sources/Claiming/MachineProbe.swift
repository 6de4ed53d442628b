package import Shared

/// What a worker can find out about its own machine.
package protocol MachineProbe: Sendable {
    /// Why the renderer does not work; nil where it does.
    func rendererFault() async -> String?
    /// Whether one of these files can be opened and read here.
    func canRead(anyOf files: [SourceLocation]) async -> Bool
    /// Whether this folder is there and holds anything.
    func hasEntries(_ folder: SourceLocation) async -> Bool
    /// Whether this file is missing, rather than refused.
    func isMissing(_ file: SourceLocation) async -> Bool
}
