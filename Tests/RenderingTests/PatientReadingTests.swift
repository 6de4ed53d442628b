import Foundation
import Rendering
import Synchronization
import Testing

/// A disk that does not answer is stood in for by a thread that waits.
@Suite struct PatientReadingTests {
    private func failure(
        _ patience: Duration, _ body: @escaping @Sendable (PatientReading.Progress) -> Void
    ) async -> RenderError? {
        do throws(RenderError) {
            try await PatientReading.run(patience: patience) { progress throws(RenderError) in body(progress) }
            return nil
        } catch {
            return error
        }
    }

    @Test func `what stands still is given up, and its late end is dropped`() async {
        let gate = DispatchSemaphore(value: 0)
        let error = await failure(.milliseconds(300)) { _ in gate.wait() }
        #expect(error?.kind == .unanswered && error?.fault == .mount)
        gate.signal()
    }

    @Test func `what goes on may take as long as it likes`() async {
        let error = await failure(.milliseconds(500)) { progress in
            for _ in 1...20 {
                Thread.sleep(forTimeInterval: 0.05)
                progress.advance()
            }
        }
        #expect(error == nil)
    }

    @Test func `results and errors come through`() async throws {
        let value = try await PatientReading.run { _ throws(RenderError) in 7 }
        #expect(value == 7)
        await #expect(throws: RenderError(.damaged, "It is.")) {
            try await PatientReading.run { _ throws(RenderError) -> Int in throw RenderError(.damaged, "It is.") }
        }
    }
}
