import Rendering

/// Collects what is wrong with a page while it is drawn; each thing once.
final class PageNotes {
    private(set) var list: [RenderNote] = []

    /// Notes of a page beyond these are left out: a list of hundreds tells no more.
    private static let most = 24

    func add(_ code: RenderNote.Code, _ text: String) {
        let note = RenderNote(code, text)
        // The structure is that of the whole file: once is enough.
        if code == .structureDamaged, list.contains(where: { $0.code == code }) { return }
        guard list.count < Self.most, !list.contains(note) else { return }
        list.append(note)
    }

    func add(_ notes: [RenderNote]) {
        for note in notes { add(note.code, note.text) }
    }

    var leaveDoubt: Bool { list.contains { $0.leavesDoubt } }
}
