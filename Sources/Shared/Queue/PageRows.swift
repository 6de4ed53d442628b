/// Page outcomes as columns for one INSERT.
struct PageRows {
    private let outcomes: [PageOutcome]
    private let attempt: Int
    private let lease: Lease
    private let worker: Int64

    init(_ outcomes: [PageOutcome], attempt: Int, lease: Lease, worker: Int64) {
        // In order, so that two batches with the same document do not lock each other out.
        self.outcomes = outcomes.sorted { $0.page < $1.page }
        self.attempt = attempt
        self.lease = lease
        self.worker = worker
    }

    /// Stores the pages that have no result yet, with their figures.
    func insert(_ connection: Connection) throws(DatabaseError) {
        guard !outcomes.isEmpty else { return }
        let texts = outcomes.map(\.result.text)
        let facts = outcomes.map(\.result.facts)
        let figures = outcomes.flatMap { outcome in
            (outcome.result.text?.figures ?? []).map { (page: outcome.page, figure: $0) }
        }
        try connection.query(
            """
            WITH used AS (
              SELECT nullif(j.override_mode, p.mode) AS mode, nullif(j.override_prompt, p.prompt) AS prompt
              FROM quire.job j JOIN quire.document d ON d.id = j.document_id
              JOIN quire.pipeline p ON p.id = d.pipeline_id
              WHERE j.batch_id = $1 AND j.id = $2 AND j.token = $4),
            stored AS (
              INSERT INTO quire.page (document_id, page_no, state, attempt, token, worker_id, mode, prompt,
                engine_version, width, height, dpi, render_seconds, encode_seconds, prefill_seconds, decode_seconds,
                prompt_tokens, output_tokens, reached_end, markdown, layout, raw_text, error)
              SELECT $3, r.page_no, r.state::quire.page_state, $5, $4, $6, u.mode, u.prompt, $7, r.width, r.height,
                r.dpi, r.render, r.encode, r.prefill, r.decode, r.prompt_tokens, r.output_tokens, r.reached_end,
                r.markdown, r.layout, r.raw_text, r.error
              FROM used u, unnest($8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::double precision[],
                $13::double precision[], $14::double precision[], $15::double precision[], $16::double precision[],
                $17::bigint[], $18::bigint[], $19::boolean[], $20::text[], $21::text[], $22::text[], $23::text[])
                r(page_no, state, width, height, dpi, render, encode, prefill, decode, prompt_tokens, output_tokens,
                reached_end, markdown, layout, raw_text, error)
              ON CONFLICT DO NOTHING RETURNING page_no)
            INSERT INTO quire.page_figure (document_id, page_no, token, name, jpeg)
            SELECT $3, f.page_no, $4, f.name, f.jpeg
            FROM unnest($24::bigint[], $25::text[], $26::bytea[]) f(page_no, name, jpeg)
            JOIN stored s ON s.page_no = f.page_no
            """,
            [
                .int(lease.batchID), .int(lease.jobID), .int(lease.documentID), .int(lease.token), .int(attempt),
                .int(worker), .text(QuireVersion.current), .ints(outcomes.map(\.page)),
                .texts(outcomes.map(\.result.state.rawValue)), .ints(facts.map { $0.map { Int64($0.width) } }),
                .ints(facts.map { $0.map { Int64($0.height) } }), .doubles(facts.map { $0?.dpi }),
                .doubles(facts.map { $0?.renderSeconds }), .doubles(texts.map { $0?.encodeSeconds }),
                .doubles(texts.map { $0?.prefillSeconds }), .doubles(texts.map { $0?.decodeSeconds }),
                .ints(texts.map { $0.map { Int64($0.promptTokens) } }),
                .ints(texts.map { $0.map { Int64($0.outputTokens) } }), .bools(texts.map { $0?.reachedEnd }),
                .texts(texts.map { $0?.markdown }), .texts(texts.map { $0?.layoutJSON }),
                .texts(texts.map { $0?.rawText }), .texts(outcomes.map(\.result.error)),
                .ints(figures.map(\.page)), .texts(figures.map(\.figure.name)), .byteArrays(figures.map(\.figure.jpeg)),
            ])
    }
}

extension PageOutcome.Result {
    fileprivate var state: PageState {
        switch self {
        case .recognised: .done
        case .blank: .blank
        case .failed: .failed
        }
    }

    fileprivate var text: RecognisedPage? {
        guard case .recognised(let page) = self else { return nil }
        return page
    }

    fileprivate var facts: PageFacts? {
        switch self {
        case .recognised(let page): page.facts
        case .blank(let facts): facts
        case .failed: nil
        }
    }

    fileprivate var error: String? {
        guard case .failed(let reason, _) = self else { return nil }
        return reason
    }
}
