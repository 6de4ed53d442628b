import Glibc
import SystemPackage
import TestSupport
import Testing
import Worker

/// A worker for each GPU, with shell scripts in the place of `quire-worker`.
@Suite struct CardWorkersTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory(prefix: "quire-cards") }

    /// A program that notes its arguments in a file and then does something.
    private func program(_ script: String) throws -> String {
        let text = "#!/bin/sh\necho \"$*\" >>'\(directory.path.appending("started").string)'\n\(script)\n"
        try directory.makeFile("worker", Array(text.utf8))
        let path = directory.path.appending("worker").string
        guard chmod(path, 0o755) == 0 else { throw Errno(rawValue: errno) }
        return path
    }

    /// The arguments of each start.
    private var started: [String] {
        directory.text(of: directory.path.appending("started")).split(separator: "\n").map(String.init)
    }

    @Test func `each GPU gets a worker with its device, name and parent, and all end when told`() async throws {
        let program = try program("trap 'exit 0' TERM\nwhile true; do sleep 0.05; done")
        var workers = CardWorkers(
            cards: [0, 2], arguments: ["--device", "all", "--name=press", "--threads", "3"], program: program)
        let code = await workers.run { started.count == 2 ? 1 : 0 }
        #expect(code == 0)
        #expect(
            started.sorted()
                == [0, 2].map {
                    "--name=press-gpu\($0) --threads 3 --device cuda:\($0) --parent-pid \(getpid())"
                })
    }

    @Test(arguments: [["--device=all"], ["--device", "all"], []])
    func `the device is given once, however it was asked for`(arguments: [String]) async throws {
        var workers = CardWorkers(
            cards: [1], arguments: arguments + ["--name", "press"], program: try program("exit 0"))
        #expect(await workers.run { 0 } == 0)
        #expect(started == ["--name press-gpu1 --device cuda:1 --parent-pid \(getpid())"])
    }

    @Test func `one that dies is started again, and the others go on`() async throws {
        let program = try program(
            """
            trap 'exit 0' TERM
            case "$*" in *cuda:1*) mkdir '\(directory.path.appending("died").string)' && exit 7;; esac
            while true; do sleep 0.05; done
            """)
        var workers = CardWorkers(cards: [0, 1], arguments: [], program: program)
        let code = await workers.run { started.count == 3 ? 1 : 0 }
        #expect(code == 0)
        #expect(started.count { $0.contains("cuda:0") } == 1)
        #expect(started.count { $0.contains("cuda:1") } == 2)
    }

    @Test(arguments: [2, 5, 6] as [Int32])
    func `one that cannot work here is left, and its exit code told`(code: Int32) async throws {
        var workers = CardWorkers(cards: [0], arguments: [], program: try program("exit \(code)"))
        #expect(await workers.run { 0 } == code)
        #expect(started.count == 1)
    }

    @Test func `a program that is not there is told`() async {
        var workers = CardWorkers(cards: [0], arguments: [], program: "/nowhere/quire-worker")
        #expect(await workers.run { 0 } == 1)
    }
}
