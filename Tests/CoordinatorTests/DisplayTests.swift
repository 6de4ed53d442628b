import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct DisplayTests {
    @Test(arguments: [
        (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (330, "5 min 30 s"), (7500, "2 h 5 min"), (7200, "2 h"),
        (273_600, "3 d 4 h"), (Double.infinity, "unknown"), (-3, "0 s"),
    ])
    func `Spans of time are told in two units at most`(seconds: Double, text: String) {
        #expect(DurationText.text(seconds: seconds) == text)
    }

    @Test func `Numbers are short`() {
        #expect(NumberText.rate(7.46) == "7.5")
        #expect(NumberText.rate(0) == "0.0")
        #expect(NumberText.rate(99.97) == "100")
        #expect(NumberText.rate(.nan) == "unknown")
        #expect(NumberText.percent(0.00527) == "0.53 %")
        #expect(NumberText.percent(1.5) == "150.00 %")
        #expect(NumberText.count(1, "page") == "1 page")
    }

    @Test func `Tables are aligned and have no blanks at the ends of lines`() {
        var table = TextTable([("NAME", .left), ("PAGES", .right), ("NOTE", .left)])
        table.add(["a", "12", "x"])
        table.add(["longer", "3"])
        #expect(table.lines == ["NAME    PAGES  NOTE", "a          12  x", "longer      3"])
    }

    @Test func `Text from elsewhere cannot move the cursor`() {
        #expect(OneLine.text("a\u{1B}[2Jb\nc\t\td\u{202E}e") == "a[2Jb c de")
    }

    @Test func `A hundred percent is said only when all is done`() {
        #expect(ProgressLine(done: 999, total: 1000).textWithBar.contains("] 99 %"))
        #expect(ProgressLine(done: 0, total: 0).textWithBar.contains("] 100 %"))
        let line = ProgressLine(done: 12, total: 40, failed: 1, pagesPerMinute: 38.2, secondsLeft: 44)
        #expect(line.text == "12 of 40 pages, 1 failed, 38.2 pages a minute, 44 s left")
        #expect(ProgressLine(done: 40, total: 40, pagesPerMinute: 38.2, secondsLeft: 0).text == "40 of 40 pages")
    }

    @Test func `A log gets a line when something changed and the last one is old enough`() {
        var pacing = ProgressPacing(interval: .seconds(5))
        let start = ContinuousClock.now
        // `#expect` takes no call that changes something.
        let admitted = [("1", 0), ("2", 4), ("2", 5), ("2", 60)].map { text, seconds in
            pacing.admits(text, at: start + .seconds(seconds))
        }
        #expect(admitted == [true, false, true, false])
    }

    /// What `body` writes by way of a display.
    private func output(isTerminal: Bool, _ body: (ProgressDisplay) -> Void) throws -> String {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("output")
        let file = try FileDescriptor.open(path, .readWrite, options: .create, permissions: .ownerReadWrite)
        body(ProgressDisplay(output: file, isTerminal: isTerminal, interval: .seconds(3600)))
        try file.close()
        return try String(contentsOfFile: path.string, encoding: .utf8)
    }

    @Test func `A pipe gets plain lines, the first and the last in any case`() throws {
        let text = try output(isTerminal: false) { display in
            for done in 1...5 { display.show(ProgressLine(done: done, total: 5), title: "archive") }
            display.finish()
            display.finish()
        }
        #expect(text == "archive: 1 of 5 pages\narchive: 5 of 5 pages\n")
    }

    @Test func `A terminal's lines are redrawn in place, and notes stay above them`() throws {
        let text = try output(isTerminal: true) { display in
            display.show(["one", "two"])
            display.note("a note")
            display.show(["three"])
            display.show(["four"])
            display.finish()
        }
        #expect(
            text == "\r\u{1B}[Jone\ntwo\n" + "\u{1B}[2A\r\u{1B}[Ja note\n" + "\r\u{1B}[Jthree\n"
                + "\u{1B}[1A\r\u{1B}[Jfour\n")
    }

    @Test func `A line too long for the terminal is cut rather than wrapped`() throws {
        let text = try output(isTerminal: true) { $0.show([String(repeating: "x", count: 500)]) }
        #expect(text.filter { $0 == "x" }.count == 79)
    }
}
