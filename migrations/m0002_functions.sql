-- Claiming, recording and keeping house as functions: one round trip each, with plans that each server connection makes
-- once and keeps. Prepared statements would do the same, but not through a pooler in transaction mode.
--
-- The plans must not depend on what the planner believes of a table at the moment: a session that begins while the queue
-- is empty would keep a plan for an empty queue, and one with old statistics might read all of it. So these functions
-- allow only plans that go by an index, and do without JIT, which would compile for what it takes to be expensive.

-- Of the current lease: what the claim was called, so that a claim whose answer was lost finds it again.
ALTER TABLE quire.job ADD COLUMN claim_key bigint;

-- Where the claim begins to look in a batch: its first ready job as of about a second ago. Without it, each claim would
-- step over all jobs that were taken since the last vacuum, or since the oldest snapshot that somebody holds.
ALTER TABLE quire.batch ADD COLUMN first_ready bigint NOT NULL DEFAULT 0;

-- Leases the next range of pages to a worker; no row if there is none for it now.
--
-- The highest priority first, and among equals by weighted lottery; within a batch the lowest number that nobody else is
-- just taking. `recorded` has bit n set where another batch has recorded the page first_page + n meanwhile.
CREATE FUNCTION quire.claim(
  p_worker bigint, p_model_digest text, p_roots text[], p_lease_seconds double precision, p_key bigint,
  p_is_repeated boolean)
RETURNS TABLE (
  batch_id bigint, job_id bigint, token bigint, document_id bigint, sha256 bytea, format quire.document_format,
  root text, path bytea, size bigint, modified_ns bigint, first_page integer, n_pages smallint, attempt smallint,
  model_digest text, mode text, prompt text, max_new_tokens integer, pdf_dpi integer, engine_version text,
  max_attempts smallint, retry_seconds real, recorded integer)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_batch bigint;
  v_job bigint;
BEGIN
  -- Its commit waits for the disk, as it does for what is recorded: a crash that undid claims would waste the work on
  -- all ranges in hand, and could give a token out twice.
  IF p_is_repeated THEN
    SELECT j.batch_id, j.id INTO v_batch, v_job
    FROM quire.job j WHERE j.worker_id = p_worker AND j.state = 'leased' AND j.claim_key = p_key LIMIT 1;
  END IF;
  -- Ready jobs before the hint, which have come back since, are looked for where there are none behind it.
  FOR v_round IN 1..2 LOOP
    EXIT WHEN v_job IS NOT NULL;
    WITH batches AS MATERIALIZED (
      SELECT b.id, CASE v_round WHEN 1 THEN b.first_ready ELSE 0 END AS first_ready
      FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id
      WHERE b.state = 'open' AND b.has_jobs AND p.model_digest = p_model_digest
        AND (v_round = 1 OR b.first_ready > 0)
        AND (p_roots IS NULL OR b.source_root = ANY (p_roots))
        AND EXISTS (SELECT FROM quire.worker w WHERE w.id = p_worker AND w.ended_at IS NULL AND NOT w.should_drain)
      ORDER BY b.priority DESC, -ln(1 - random()) / b.weight),
    chosen AS MATERIALIZED (
      SELECT b.id AS batch_id, j.id FROM batches b CROSS JOIN LATERAL (
        SELECT j.id FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready' AND j.id >= b.first_ready
        ORDER BY j.id LIMIT 1 FOR UPDATE SKIP LOCKED) j
      LIMIT 1)
    UPDATE quire.job j SET state = 'leased', token = nextval('quire.lease_token'), worker_id = p_worker,
      attempt = j.attempt + 1, started_at = now(), lease_seconds = p_lease_seconds, lease_first = j.first_page,
      lease_error = NULL, due = now() + p_lease_seconds * interval '1 second', claim_key = p_key
    FROM chosen c WHERE j.batch_id = c.batch_id AND j.id = c.id
    RETURNING j.batch_id, j.id INTO v_batch, v_job;
  END LOOP;
  IF v_job IS NULL THEN RETURN; END IF;
  RETURN QUERY
    SELECT j.batch_id, j.id, j.token, j.document_id, d.sha256, d.format, f.root, f.path, f.size, f.modified_ns,
      j.first_page, j.n_pages, j.attempt, p.model_digest, coalesce(j.override_mode, p.mode),
      coalesce(j.override_prompt, p.prompt), p.max_new_tokens, p.pdf_dpi, p.engine_version, b.max_attempts,
      b.retry_seconds, r.recorded
    FROM quire.job j
    JOIN quire.batch b ON b.id = j.batch_id
    JOIN quire.document d ON d.id = j.document_id
    JOIN quire.pipeline p ON p.id = d.pipeline_id
    CROSS JOIN LATERAL (
      SELECT f.root, f.path, f.size, f.modified_ns FROM quire.batch_file f
      WHERE f.batch_id = j.batch_id AND f.document_id = j.document_id ORDER BY f.id LIMIT 1) f
    CROSS JOIN LATERAL (
      SELECT coalesce(bit_or(1 << (p.page_no - j.first_page)), 0) AS recorded FROM quire.page p
      WHERE p.document_id = j.document_id AND p.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1) r
    WHERE j.batch_id = v_batch AND j.id = v_job;
END
$$;

-- Stores what became of the next pages of a lease, and takes them out of its job.
--
-- Handed over are the p_count pages from p_first on: those of the arrays, those that wait for another attempt
-- (p_postponed, for p_seconds each), and those that were recorded by another batch. Fenced by token and worker:
-- `recorded` with the pages that the worker still holds (NULL: none), `held` where the pages were recorded before,
-- `mismatch` where they are not the next ones, `ended` where the lease was brought to its end, `lost` where it was taken
-- away. All but `recorded` change nothing.
CREATE FUNCTION quire.record(
  p_worker bigint, p_batch bigint, p_job bigint, p_token bigint, p_document bigint, p_lease_first bigint,
  p_lease_last bigint, p_first bigint, p_count bigint, p_postponed bigint[], p_seconds double precision[], p_error text,
  p_version text, p_pages bigint[], p_states text[], p_widths bigint[], p_heights bigint[], p_dpi double precision[],
  p_render double precision[], p_encode double precision[], p_prefill double precision[], p_decode double precision[],
  p_prompt_tokens bigint[], p_output_tokens bigint[], p_reached_end boolean[], p_markdown text[], p_layout text[],
  p_raw_text text[], p_errors text[], p_figure_pages bigint[], p_figure_names text[], p_figure_jpegs bytea[],
  OUT verdict text, OUT first_page integer, OUT n_pages integer)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_job quire.job;
  v_ends boolean := p_first + p_count > p_lease_last;
  v_last bigint := p_first + p_count - 1;
  v_settled bigint := p_count - cardinality(p_postponed);
  v_mode text;
  v_prompt text;
  v_done bigint := 0;
  v_blank bigint := 0;
  v_failed bigint := 0;
  v_quarantined bigint := 0;
BEGIN
  -- The fence. The row stays locked to the end, so cancellations, retries and rescues wait or come first. Only leased
  -- jobs have a token. That the worker is compared so keeps the planner from its index, which is full of dead entries
  -- of the leases it had before.
  IF p_count > 0 AND v_ends THEN
    DELETE FROM quire.job j
    WHERE j.batch_id = p_batch AND j.id = p_job AND j.token = p_token
      AND j.worker_id IS NOT DISTINCT FROM p_worker AND j.first_page = p_first AND j.n_pages = p_count
    RETURNING * INTO v_job;
  ELSIF p_count > 0 THEN
    UPDATE quire.job j SET first_page = j.first_page + p_count, n_pages = j.n_pages - p_count,
      lease_error = coalesce(p_error, j.lease_error), due = now() + j.lease_seconds * interval '1 second'
    WHERE j.batch_id = p_batch AND j.id = p_job AND j.token = p_token
      AND j.worker_id IS NOT DISTINCT FROM p_worker AND j.first_page = p_first AND j.n_pages > p_count
    RETURNING * INTO v_job;
  END IF;

  IF v_job.id IS NULL THEN
    SELECT j.first_page, j.n_pages INTO first_page, n_pages FROM quire.job j
    WHERE j.batch_id = p_batch AND j.id = p_job AND j.token = p_token
      AND j.worker_id IS NOT DISTINCT FROM p_worker;
    IF FOUND THEN
      verdict := CASE WHEN p_count = 0 OR v_last < first_page THEN 'held' ELSE 'mismatch' END;
    ELSIF EXISTS (
      SELECT FROM quire.attempt a WHERE a.token = p_token AND a.worker_id = p_worker AND a.batch_id = p_batch
        AND a.document_id = p_document AND a.first_page = p_lease_first AND a.outcome IN ('done', 'partial'))
    THEN
      verdict := 'ended';
    ELSE
      verdict := 'lost';
    END IF;
    RETURN;
  END IF;

  IF cardinality(p_pages) > 0 THEN
    IF v_job.override_mode IS NOT NULL OR v_job.override_prompt IS NOT NULL THEN
      SELECT nullif(v_job.override_mode, p.mode), nullif(v_job.override_prompt, p.prompt) INTO v_mode, v_prompt
      FROM quire.document d JOIN quire.pipeline p ON p.id = d.pipeline_id WHERE d.id = p_document;
    END IF;
    WITH stored AS (
      INSERT INTO quire.page (document_id, page_no, state, attempt, token, worker_id, mode, prompt, engine_version,
        width, height, dpi, render_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens,
        output_tokens, reached_end, markdown, layout, raw_text, error)
      SELECT p_document, r.page_no, r.state::quire.page_state, v_job.attempt, p_token, p_worker, v_mode, v_prompt,
        p_version, r.width, r.height, r.dpi, r.render, r.encode, r.prefill, r.decode, r.prompt_tokens, r.output_tokens,
        r.reached_end, r.markdown, r.layout, r.raw_text, r.error
      FROM unnest(p_pages, p_states, p_widths, p_heights, p_dpi, p_render, p_encode, p_prefill, p_decode,
        p_prompt_tokens, p_output_tokens, p_reached_end, p_markdown, p_layout, p_raw_text, p_errors)
        r(page_no, state, width, height, dpi, render, encode, prefill, decode, prompt_tokens, output_tokens,
        reached_end, markdown, layout, raw_text, error)
      WHERE r.page_no BETWEEN p_first AND v_last
      ON CONFLICT DO NOTHING RETURNING state)
    SELECT count(*) FILTER (WHERE s.state = 'done'), count(*) FILTER (WHERE s.state = 'blank'),
      count(*) FILTER (WHERE s.state = 'failed')
    INTO v_done, v_blank, v_failed FROM stored s;
  END IF;
  IF cardinality(p_figure_pages) > 0 THEN
    INSERT INTO quire.page_figure (document_id, page_no, token, name, jpeg)
    SELECT p_document, f.page_no, p_token, f.name, f.jpeg
    FROM unnest(p_figure_pages, p_figure_names, p_figure_jpegs) f(page_no, name, jpeg)
    JOIN quire.page p ON p.document_id = p_document AND p.page_no = f.page_no AND p.token = p_token;
  END IF;

  IF cardinality(p_postponed) > 0 THEN
    INSERT INTO quire.job
      (batch_id, document_id, state, first_page, n_pages, attempt, losses, override_mode, override_prompt, due)
    SELECT p_batch, p_document, 'waiting', p.page_no, 1, v_job.attempt, least(v_job.losses, 1), v_job.override_mode,
      v_job.override_prompt, now() + p.seconds * interval '1 second'
    FROM unnest(p_postponed, p_seconds) p(page_no, seconds);
  END IF;

  IF v_settled > 0 THEN
    IF v_done + v_blank + v_failed <> v_settled THEN
      -- Another batch was faster with some: what the table says is what counts. A page whose result a retry has taken
      -- away meanwhile goes back to the queue, as would any page that was left out.
      WITH settled AS (
        SELECT n AS page_no, p.state FROM generate_series(p_first, v_last) n
        LEFT JOIN quire.page p ON p.document_id = p_document AND p.page_no = n
        WHERE n <> ALL (p_postponed)),
      again AS (
        INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
        SELECT p_batch, p_document, s.page_no, 1 FROM settled s WHERE s.state IS NULL)
      SELECT count(*) FILTER (WHERE s.state = 'done'), count(*) FILTER (WHERE s.state = 'blank'),
        count(*) FILTER (WHERE s.state = 'failed'), count(*) FILTER (WHERE s.state = 'quarantined')
      INTO v_done, v_blank, v_failed, v_quarantined FROM settled s;
    END IF;
    INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked)
    VALUES (p_batch, p_document, v_done, v_blank, v_failed, v_quarantined, cardinality(p_pages));
  END IF;

  verdict := 'recorded';
  IF v_ends THEN
    INSERT INTO quire.attempt
      (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at, outcome, error)
    VALUES (p_token, p_batch, p_document, v_job.lease_first, v_last - v_job.lease_first + 1, v_job.attempt, p_worker,
      v_job.started_at,
      CASE WHEN coalesce(p_error, v_job.lease_error) IS NULL THEN 'done' ELSE 'partial' END::quire.attempt_outcome,
      coalesce(p_error, v_job.lease_error));
  ELSE
    first_page := v_job.first_page;
    n_pages := v_job.n_pages;
  END IF;
END
$$;

-- Moves all of tally_delta into the counts that status reads; the caller has the turn at it.
--
-- The work is by the number of deltas, however many documents and batches there are.
CREATE FUNCTION quire.fold_tallies() RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  WITH taken AS (DELETE FROM quire.tally_delta RETURNING *),
  by_document AS (
    SELECT batch_id, document_id, sum(done)::int AS done, sum(blank)::int AS blank, sum(failed)::int AS failed,
      sum(quarantined)::int AS quarantined
    FROM taken WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
  moved AS (
    UPDATE quire.batch_document b SET done = b.done + d.done, blank = b.blank + d.blank,
      failed = b.failed + d.failed, quarantined = b.quarantined + d.quarantined
    FROM by_document d WHERE b.batch_id = d.batch_id AND b.document_id = d.document_id
    RETURNING b.batch_id, b.page_count, b.done + b.blank + b.failed + b.quarantined AS settled,
      b.failed + b.quarantined AS bad, d.done + d.blank + d.failed + d.quarantined AS settled_change,
      d.failed + d.quarantined AS bad_change),
  documents AS (
    SELECT batch_id,
      sum((settled = page_count AND bad = 0)::int
        - (settled - settled_change = page_count AND bad - bad_change = 0)::int) AS complete,
      sum((settled = page_count AND bad > 0)::int
        - (settled - settled_change = page_count AND bad - bad_change > 0)::int) AS with_failures
    FROM moved GROUP BY batch_id),
  rate AS (
    INSERT INTO quire.throughput AS t (batch_id, bucket, n)
    SELECT batch_id, date_bin('10 seconds', at, 'epoch'), sum(worked) FROM taken WHERE worked > 0
    GROUP BY 1, 2 ON CONFLICT (batch_id, bucket) DO UPDATE SET n = t.n + excluded.n),
  by_batch AS (
    SELECT batch_id, sum(documents) AS documents, sum(unreadable) AS unreadable, sum(ignored) AS ignored,
      sum(pages) AS pages, sum(done) AS done, sum(blank) AS blank, sum(failed) AS failed,
      sum(quarantined) AS quarantined
    FROM taken GROUP BY batch_id)
  UPDATE quire.tally t SET documents = t.documents + b.documents, unreadable = t.unreadable + b.unreadable,
    ignored = t.ignored + b.ignored, pages = t.pages + b.pages, done = t.done + b.done, blank = t.blank + b.blank,
    failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined,
    complete = t.complete + coalesce(d.complete, 0), with_failures = t.with_failures + coalesce(d.with_failures, 0)
  FROM by_batch b LEFT JOIN documents d ON d.batch_id = b.batch_id WHERE t.batch_id = b.batch_id;
END
$$;

-- Folds the counts unless somebody else has the turn (p_turn is the key of its advisory lock).
CREATE FUNCTION quire.try_fold(p_turn bigint) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_turn) THEN RETURN; END IF;
  -- Counts whose fold a crash undoes are folded again.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM quire.fold_tallies();
END
$$;

-- The counts of one batch or of all, exact as of now: those that are folded, and the deltas of the last second or so on
-- top. Writes nothing and waits for nobody; `deltas` says how many there were.
CREATE FUNCTION quire.progress(p_batch bigint)
RETURNS TABLE (
  batch_id bigint, documents bigint, complete bigint, with_failures bigint, unreadable bigint, ignored bigint,
  pages bigint, done bigint, blank bigint, failed bigint, quarantined bigint, leased bigint,
  per_minute double precision, is_current boolean, deltas bigint)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH fresh AS MATERIALIZED (
    SELECT * FROM quire.tally_delta d WHERE p_batch IS NULL OR d.batch_id = p_batch),
  by_document AS (
    SELECT batch_id, document_id, sum(done) AS done, sum(blank) AS blank, sum(failed) AS failed,
      sum(quarantined) AS quarantined
    FROM fresh WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
  moved AS (
    SELECT b.batch_id, b.page_count, b.done + b.blank + b.failed + b.quarantined AS settled_before,
      b.failed + b.quarantined AS bad_before, d.done + d.blank + d.failed + d.quarantined AS settled_change,
      d.failed + d.quarantined AS bad_change
    FROM by_document d JOIN quire.batch_document b ON b.batch_id = d.batch_id AND b.document_id = d.document_id),
  by_state AS (
    SELECT batch_id,
      sum((settled_before + settled_change = page_count AND bad_before + bad_change = 0)::int
        - (settled_before = page_count AND bad_before = 0)::int) AS complete,
      sum((settled_before + settled_change = page_count AND bad_before + bad_change > 0)::int
        - (settled_before = page_count AND bad_before > 0)::int) AS with_failures
    FROM moved GROUP BY batch_id),
  by_batch AS (
    SELECT batch_id, sum(documents) AS documents, sum(unreadable) AS unreadable, sum(ignored) AS ignored,
      sum(pages) AS pages, sum(done) AS done, sum(blank) AS blank, sum(failed) AS failed,
      sum(quarantined) AS quarantined, count(*) AS deltas
    FROM fresh GROUP BY batch_id),
  by_lease AS (
    SELECT j.batch_id, sum(j.n_pages) AS pages FROM quire.job j WHERE j.state = 'leased' GROUP BY j.batch_id),
  work AS (
    SELECT batch_id, bucket, n, max(bucket) OVER (PARTITION BY batch_id) AS last FROM (
      SELECT t.batch_id, t.bucket, t.n::bigint FROM quire.throughput t WHERE p_batch IS NULL OR t.batch_id = p_batch
      UNION ALL
      SELECT batch_id, date_bin('10 seconds', at, 'epoch'), sum(worked) FROM fresh WHERE worked > 0 GROUP BY 1, 2) w),
  rate AS (
    -- The five minutes up to the last work, or what there was of them.
    SELECT batch_id, max(last) > now() - interval '5 minutes' AS is_current, (60 * sum(n) / greatest(10,
      extract(epoch FROM least(now(), max(last) + interval '10 seconds') - min(bucket))))::float8 AS per_minute
    FROM work WHERE bucket > last - interval '5 minutes' GROUP BY batch_id)
  SELECT t.batch_id, t.documents + coalesce(d.documents, 0), t.complete + coalesce(s.complete, 0),
    t.with_failures + coalesce(s.with_failures, 0), t.unreadable + coalesce(d.unreadable, 0),
    t.ignored + coalesce(d.ignored, 0), t.pages + coalesce(d.pages, 0), t.done + coalesce(d.done, 0),
    t.blank + coalesce(d.blank, 0), t.failed + coalesce(d.failed, 0), t.quarantined + coalesce(d.quarantined, 0),
    coalesce(l.pages, 0), r.per_minute, r.is_current, coalesce(d.deltas, 0)
  FROM quire.tally t
  LEFT JOIN by_batch d ON d.batch_id = t.batch_id
  LEFT JOIN by_state s ON s.batch_id = t.batch_id
  LEFT JOIN by_lease l ON l.batch_id = t.batch_id
  LEFT JOIN rate r ON r.batch_id = t.batch_id
  WHERE p_batch IS NULL OR t.batch_id = p_batch;
END
$$;

-- Keeps house but for lost leases: ends silent workers, makes waiting jobs ready, folds the counts, notes where claims
-- begin and which batches have no job left. Returns whether leases are to be taken back; NULL where somebody else has
-- the turn (p_turn is the key of its advisory lock).
--
-- A crash that undoes it leaves it to be done again, so it does not wait for the disk.
CREATE FUNCTION quire.keep_house(p_turn bigint, p_silence_seconds double precision) RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_batch record;
  v_from bigint;
  v_first bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_turn) THEN RETURN NULL; END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE quire.worker w SET ended_at = now()
  WHERE w.ended_at IS NULL AND w.seen_at < now() - p_silence_seconds * interval '1 second';

  WITH due AS MATERIALIZED (
    SELECT j.batch_id, j.id FROM quire.job j WHERE j.state = 'waiting' AND j.due <= now()
    ORDER BY j.due LIMIT 1000 FOR UPDATE SKIP LOCKED)
  UPDATE quire.job j SET state = 'ready', due = NULL, id = nextval('quire.job_id')
  FROM due d WHERE j.batch_id = d.batch_id AND j.id = d.id;

  PERFORM quire.fold_tallies();

  FOR v_batch IN
    SELECT b.id, b.state, b.first_ready FROM quire.batch b WHERE b.has_jobs ORDER BY b.id
  LOOP
    IF v_batch.state = 'open' THEN
      -- Mostly from where it was; now and then from the start, for jobs that came back or were committed late.
      v_from := CASE WHEN random() < 0.25 THEN 0 ELSE v_batch.first_ready END;
      SELECT j.id INTO v_first FROM quire.job j
      WHERE j.batch_id = v_batch.id AND j.state = 'ready' AND j.id >= v_from ORDER BY j.id LIMIT 1;
      IF v_first IS NOT NULL THEN
        IF v_first <> v_batch.first_ready THEN
          -- Whoever holds the batch, as submissions do, is not waited for.
          PERFORM FROM quire.batch b WHERE b.id = v_batch.id FOR NO KEY UPDATE SKIP LOCKED;
          IF FOUND THEN UPDATE quire.batch b SET first_ready = v_first WHERE b.id = v_batch.id; END IF;
        END IF;
        CONTINUE;
      END IF;
    END IF;
    CONTINUE WHEN EXISTS (SELECT FROM quire.job j WHERE j.batch_id = v_batch.id);
    -- Jobs come to a batch without any only under a lock on its row, and the second statement sees them.
    PERFORM FROM quire.batch b WHERE b.id = v_batch.id AND b.has_jobs FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE quire.batch b SET has_jobs = false, first_ready = 0
      WHERE b.id = v_batch.id AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = b.id);
    END IF;
  END LOOP;

  DELETE FROM quire.throughput t WHERE t.bucket < now() - interval '1 hour';

  RETURN EXISTS (
    SELECT FROM quire.job j WHERE j.state = 'leased' AND (j.due < now() OR NOT EXISTS (
      SELECT FROM quire.worker w WHERE w.id = j.worker_id AND w.ended_at IS NULL)));
END
$$;
