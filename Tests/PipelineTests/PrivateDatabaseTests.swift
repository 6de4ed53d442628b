import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// One private database and several containers, with the real programs; and servers that are killed under a run.
@Suite(.serialized) struct PrivateDatabaseTests {
    /// Checks at the end that every page is there once, and that none of those seen before was lost.
    private func check(_ containers: Containers, seen: [String: Int64]) async throws {
        let session = try await containers.open()
        let status = try #require(try await session.queue.status(batch: nil).first)
        #expect(status.isFinished)
        #expect(status.pages.done + status.pages.blank == status.pages.total)
        let recorded = try await containers.recorded(session.database)
        #expect(recorded.count == status.pages.total)
        #expect(!seen.isEmpty)
        for (page, token) in seen { #expect(recorded[page] == token, "page \(page) was recorded before") }
        await session.close()
        #expect(containers.servers().isEmpty, "the last user stops the server")
    }

    @Test(.enabled(if: Containers.arePossible, "namespaces cannot be made here"))
    func `a second container asks while the first reads: one server, nothing lost`() async throws {
        let containers = try Containers()
        try await containers.copySamples("letters", "minutes")
        var seen: [String: Int64] = [:]
        let most = try await containers.mostServers {
            let run = try containers.run(in: "one")
            while containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
            let session = try await containers.open()
            #expect(try await containers.wait(for: 1, session))
            // Another host name, the same one, and another again: a container gets a new one each time.
            for host in ["two", "one", "three"] {
                let status = try await containers.start(in: host, "status").outcome()
                #expect(status.isSuccess, "\(status.errors)")
                #expect(status.output.contains("archive"), "it has seen the batch")
            }
            seen = try await containers.recorded(session.database)
            await session.close()
            let outcome = await run.outcome(within: 300)
            #expect(outcome.isSuccess, "\(outcome.output) \(outcome.errors)")
            #expect(containers.servers().isEmpty, "the first container, the last user, has stopped it")
        }
        #expect(most == 1)
        try await check(containers, seen: seen)
    }

    @Test(
        .enabled(if: Containers.arePossible, "namespaces cannot be made here"), arguments: [SIGTERM, SIGKILL])
    func `the container that started the server leaves first: the other starts it again`(signal: Int32) async throws {
        let containers = try Containers()
        try await containers.copySamples("letters", "minutes")
        let submitted = try await containers.start(in: nil, "submit", containers.archive.string).outcome()
        #expect(submitted.isSuccess, "\(submitted.errors)")
        var seen: [String: Int64] = [:]
        let most = try await containers.mostServers {
            let watch = try containers.start(in: "one", "status", "--watch")
            while containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
            let run = try containers.run(in: "two")
            let session = try await containers.open()
            #expect(try await containers.wait(for: 2, session))
            seen = try await containers.recorded(session.database)
            await session.close()
            let before = containers.servers()
            let first = try #require(containers.firstProcess(of: watch))
            kill(first, signal)
            _ = await watch.outcome()
            let outcome = await run.outcome(within: 300)
            #expect(outcome.isSuccess, "\(outcome.output) \(outcome.errors)")
            #expect(before.count == 1 && containers.servers().isEmpty)
        }
        #expect(most == 1)
        try await check(containers, seen: seen)
    }

    @Test(.enabled(if: Containers.arePossible, "namespaces cannot be made here"))
    func `a container is killed with all it holds: the next one recovers and goes on`() async throws {
        let containers = try Containers()
        try await containers.copySamples("letters", "minutes")
        var seen: [String: Int64] = [:]
        let most = try await containers.mostServers {
            let run = try containers.run(in: "one")
            while containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
            let session = try await containers.open()
            #expect(try await containers.wait(for: 2, session))
            seen = try await containers.recorded(session.database)
            await session.close()
            run.send(signal: SIGKILL)
            _ = await run.outcome()
            let next = await (try containers.run(in: "two", memory: "1G")).outcome(within: 300)
            #expect(next.isSuccess, "\(next.output) \(next.errors)")
        }
        #expect(most == 1)
        try await check(containers, seen: seen)
    }

    @Test func `a run is killed, and a status does not stop the database under its workers`() async throws {
        let containers = try Containers()
        try await containers.copySamples("letters", "minutes")
        let run = try containers.run(in: nil)
        while containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        let session = try await containers.open()
        #expect(try await containers.wait(for: 1, session))
        let workers = try await session.queue.workers().map(\.pid)
        #expect(workers.count == 1)
        let worker = try #require(workers.first)
        let seen = try await containers.recorded(session.database)
        await session.close()
        let server = containers.servers()
        run.send(signal: SIGKILL)
        _ = await run.outcome()
        // So that it does not end too soon for the test. Earlier, the end of its parent would wake it.
        kill(worker, SIGSTOP)
        let status = try await containers.start(in: nil, "status").outcome()
        #expect(status.isSuccess, "\(status.errors)")
        #expect(server.count == 1 && containers.servers() == server, "the worker still uses it")
        kill(worker, SIGCONT)
        while kill(worker, 0) == 0 { try await Task.sleep(for: .milliseconds(50)) }
        while !containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(50)) }

        let after = try await containers.open()
        let batch = try #require(try await after.queue.status(batch: nil).first)
        #expect(batch.pages.leased == 0, "it has finished its pages and given the rest back")
        #expect(try await after.queue.workers().isEmpty)
        var rows = try await after.database.query("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'")
        #expect(try rows[0].int() == 0)
        await after.close()
        let next = await (try containers.run(in: nil, memory: "1G")).outcome(within: 300)
        #expect(next.isSuccess, "\(next.output) \(next.errors)")
        try await check(containers, seen: seen)
    }

    @Test func `the server is killed under a run, which starts it again and ends well`() async throws {
        let containers = try Containers()
        try await containers.copySamples("letters", "minutes")
        let run = try containers.run(in: nil)
        var seen: [String: Int64] = [:]
        for pages in [1, 4] {
            while containers.servers().isEmpty { try await Task.sleep(for: .milliseconds(20)) }
            let session = try await containers.open()
            #expect(try await containers.wait(for: pages, session))
            seen.merge(try await containers.recorded(session.database)) { $1 }
            await session.close()
            for server in containers.servers() { kill(server, SIGKILL) }
        }
        let outcome = await run.outcome(within: 300)
        #expect(outcome.isSuccess, "\(outcome.output) \(outcome.errors)")
        try await check(containers, seen: seen)
    }
}
