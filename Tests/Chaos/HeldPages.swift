import Shared

/// Pages of one lease that were in hand when something happened.
struct HeldPages: Sendable {
    let document: Int64
    let first: Int
    let last: Int

    var count: Int { last - first + 1 }

    /// What is leased now, to all workers or to those with these process numbers.
    static func now(_ database: Database, by pids: [Int32]? = nil) async throws -> [HeldPages] {
        let rows = try await database.query(
            """
            SELECT j.document_id, j.first_page, j.first_page + j.n_pages - 1 FROM quire.job j
            JOIN quire.worker w ON w.id = j.worker_id
            WHERE j.state = 'leased' AND ($1::bigint[] IS NULL OR w.pid = ANY ($1::bigint[]))
            """, [pids.map { .ints($0.map { Int($0) }) } ?? .null])
        var held: [HeldPages] = []
        for var row in rows {
            held.append(HeldPages(document: try row.int64(), first: try row.int(), last: try row.int()))
        }
        return held
    }

    /// Seconds from `time`, by the server's clock, until the last of them was recorded; nil where none is.
    static func secondsUntilRecorded(
        _ held: [HeldPages], from time: Double, _ database: Database
    ) async throws -> Double? {
        var rows = try await database.query(
            """
            SELECT extract(epoch FROM max(p.finished_at))::float8
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) h(document_id, first_page, last_page)
            JOIN quire.page p ON p.document_id = h.document_id AND p.page_no BETWEEN h.first_page AND h.last_page
            """, [.ints(held.map(\.document)), .ints(held.map(\.first)), .ints(held.map(\.last))])
        guard !rows.isEmpty, let end = try rows[0].optionalDouble() else { return nil }
        return max(0, end - time)
    }
}

extension Database {
    /// The one number that a statement gives.
    func number(_ sql: String, _ parameters: [SQLValue] = []) async throws -> Int {
        var rows = try await query(sql, parameters)
        return rows.isEmpty ? -1 : try rows[0].int()
    }

    /// Seconds since 1970, by the server's clock.
    func serverTime() async throws -> Double {
        var rows = try await query("SELECT extract(epoch FROM clock_timestamp())::float8")
        return rows.isEmpty ? 0 : try rows[0].double()
    }
}
