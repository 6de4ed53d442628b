-- Pages have notes: what is wrong with a page that is drawn all the same. Documents have such as belong to no page.

-- Arrays of {"code", "text"}; NULL where there is none. A page that failed says in `error` what is wrong.
ALTER TABLE quire.page ADD COLUMN notes jsonb,
  -- Not looked at for the rows that are there: the column is new.
  ADD CONSTRAINT page_notes CHECK (notes IS NULL OR (
    state IN ('done', 'blank') AND jsonb_typeof(notes) = 'array' AND notes <> '[]')) NOT VALID;
ALTER TABLE quire.page_history ADD COLUMN notes jsonb;
ALTER TABLE quire.document ADD COLUMN notes jsonb,
  ADD CONSTRAINT document_notes CHECK (notes IS NULL OR (jsonb_typeof(notes) = 'array' AND notes <> '[]')) NOT VALID;
-- Both hold nothing but what is noted, which is little.
CREATE INDEX page_noted ON quire.page (finished_at) WHERE notes IS NOT NULL;
CREATE INDEX document_noted ON quire.document (id) WHERE notes IS NOT NULL;

-- Of the pages that are done or blank, those with notes. That there are no more of them than of the others is not
-- demanded: orders of older programs, which do not count them, must not stop the counts.
ALTER TABLE quire.batch_document ADD COLUMN noted integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT batch_document_noted CHECK (noted >= 0);
ALTER TABLE quire.tally ADD COLUMN noted bigint NOT NULL DEFAULT 0, ADD CONSTRAINT tally_noted CHECK (noted >= 0);
ALTER TABLE quire.tally_delta ADD COLUMN noted integer NOT NULL DEFAULT 0;

-- A page's notes out of those that were handed over; NULL for one that failed. Called only where there are any: calling it
-- takes longer than storing a page.
CREATE FUNCTION quire.notes_of(p_page bigint, p_state text, p_pages bigint[], p_codes text[], p_texts text[])
RETURNS jsonb
LANGUAGE sql IMMUTABLE
AS $$
  SELECT jsonb_agg(jsonb_build_object('code', n.code, 'text', n.text) ORDER BY n.place)
  FROM unnest(p_pages, p_codes, p_texts) WITH ORDINALITY n(page_no, code, text, place)
  WHERE n.page_no = p_page AND p_state IN ('done', 'blank')
$$;

DROP FUNCTION quire.record(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint[],
  double precision[], text, text, bigint[], text[], bigint[], bigint[], double precision[], double precision[],
  double precision[], double precision[], double precision[], bigint[], bigint[], boolean[], text[], text[], text[],
  text[], bigint[], text[], bytea[], text, text, bigint);

-- Stores what became of the next pages of a lease, and takes them out of its job.
--
-- Handed over are the p_count pages from p_first on: those of the arrays, those that wait for another attempt
-- (p_postponed, for p_seconds each), and those that were recorded by another batch. Fenced by token and worker:
-- `recorded` with the pages that the worker still holds (NULL: none), `held` where the pages were recorded before,
-- `mismatch` where they are not the next ones, `ended` where the lease was brought to its end, `lost` where it was taken
-- away. All but `recorded` change nothing.
--
-- A page that is to be read again is replaced by results of leases that began after that was asked, made as was asked;
-- good text only by other text. p_file is a file that had faults before.
-- The p_note arrays are notes on the pages, each with its page.
CREATE FUNCTION quire.record(
  p_worker bigint, p_batch bigint, p_job bigint, p_token bigint, p_document bigint, p_lease_first bigint,
  p_lease_last bigint, p_first bigint, p_count bigint, p_postponed bigint[], p_seconds double precision[], p_error text,
  p_version text, p_pages bigint[], p_states text[], p_widths bigint[], p_heights bigint[], p_dpi double precision[],
  p_render double precision[], p_encode double precision[], p_prefill double precision[], p_decode double precision[],
  p_prompt_tokens bigint[], p_output_tokens bigint[], p_reached_end boolean[], p_markdown text[], p_layout text[],
  p_raw_text text[], p_errors text[], p_figure_pages bigint[], p_figure_names text[], p_figure_jpegs bytea[],
  p_program text DEFAULT NULL, p_precision text DEFAULT NULL, p_file bigint DEFAULT NULL,
  p_note_pages bigint[] DEFAULT NULL, p_note_codes text[] DEFAULT NULL, p_note_texts text[] DEFAULT NULL,
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
  v_redo bigint[];
  v_done bigint := 0;
  v_blank bigint := 0;
  v_failed bigint := 0;
  v_quarantined bigint := 0;
  v_noted bigint := 0;
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
        program_version, precision, width, height, dpi, render_seconds, encode_seconds, prefill_seconds, decode_seconds,
        prompt_tokens, output_tokens, reached_end, markdown, layout, raw_text, error, notes)
      SELECT p_document, r.page_no, r.state::quire.page_state, v_job.attempt, p_token, p_worker, v_mode, v_prompt,
        p_version, p_program, p_precision, r.width, r.height, r.dpi, r.render, r.encode, r.prefill, r.decode,
        r.prompt_tokens, r.output_tokens, r.reached_end, r.markdown, r.layout, r.raw_text, r.error,
        CASE WHEN p_note_pages IS NOT NULL THEN
          quire.notes_of(r.page_no, r.state, p_note_pages, p_note_codes, p_note_texts) END
      FROM unnest(p_pages, p_states, p_widths, p_heights, p_dpi, p_render, p_encode, p_prefill, p_decode,
        p_prompt_tokens, p_output_tokens, p_reached_end, p_markdown, p_layout, p_raw_text, p_errors)
        r(page_no, state, width, height, dpi, render, encode, prefill, decode, prompt_tokens, output_tokens,
        reached_end, markdown, layout, raw_text, error)
      WHERE r.page_no BETWEEN p_first AND v_last
      ON CONFLICT DO NOTHING RETURNING state, notes)
    SELECT count(*) FILTER (WHERE s.state = 'done'), count(*) FILTER (WHERE s.state = 'blank'),
      count(*) FILTER (WHERE s.state = 'failed'), count(*) FILTER (WHERE s.notes IS NOT NULL)
    INTO v_done, v_blank, v_failed, v_noted FROM stored s;

    IF v_done + v_blank + v_failed < cardinality(p_pages) THEN
      -- Those with a row already that are to be read again. Of two batches that hand the same page over, the second
      -- waits here and finds it settled.
      SELECT array_agg(p.page_no) INTO v_redo FROM (
        SELECT p.page_no FROM quire.page p
        WHERE p.document_id = p_document AND p.page_no BETWEEN p_first AND v_last AND p.page_no = ANY (p_pages)
          AND p.redo_token < p_token AND p.redo_mode IS NOT DISTINCT FROM v_job.override_mode
          AND p.redo_prompt IS NOT DISTINCT FROM v_job.override_prompt
        ORDER BY p.page_no FOR NO KEY UPDATE) p;
      IF v_redo IS NOT NULL THEN
        -- Failures where good text was.
        WITH failed AS MATERIALIZED (
          SELECT r.page_no, r.error FROM unnest(p_pages, p_states, p_errors) r(page_no, state, error)
          JOIN quire.page p ON p.document_id = p_document AND p.page_no = r.page_no
          WHERE r.state = 'failed' AND p.state IN ('done', 'blank') AND r.page_no = ANY (v_redo)),
        kept AS (
          INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, mode,
            prompt, engine_version, program_version, precision, error)
          SELECT p_document, f.page_no, 'failed', v_job.attempt, p_token, p_worker, now(), v_mode, v_prompt, p_version,
            p_program, p_precision, f.error FROM failed f)
        UPDATE quire.page p SET redo_token = NULL, redo_mode = NULL, redo_prompt = NULL
        FROM failed f WHERE p.document_id = p_document AND p.page_no = f.page_no;
        PERFORM quire.keep_history(p_document, v_redo);
        UPDATE quire.page p SET redo_token = NULL, redo_mode = NULL, redo_prompt = NULL,
          state = r.state::quire.page_state, attempt = v_job.attempt, token = p_token, worker_id = p_worker,
          finished_at = now(), mode = v_mode, prompt = v_prompt, engine_version = p_version, program_version = p_program,
          precision = p_precision, width = r.width, height = r.height, dpi = r.dpi, render_seconds = r.render,
          encode_seconds = r.encode, prefill_seconds = r.prefill, decode_seconds = r.decode,
          prompt_tokens = r.prompt_tokens, output_tokens = r.output_tokens, reached_end = r.reached_end,
          markdown = r.markdown, layout = r.layout, raw_text = r.raw_text, error = r.error,
          notes = CASE WHEN p_note_pages IS NOT NULL THEN
            quire.notes_of(r.page_no, r.state, p_note_pages, p_note_codes, p_note_texts) END
        FROM unnest(p_pages, p_states, p_widths, p_heights, p_dpi, p_render, p_encode, p_prefill, p_decode,
          p_prompt_tokens, p_output_tokens, p_reached_end, p_markdown, p_layout, p_raw_text, p_errors)
          r(page_no, state, width, height, dpi, render, encode, prefill, decode, prompt_tokens, output_tokens,
          reached_end, markdown, layout, raw_text, error)
        WHERE p.document_id = p_document AND p.page_no = r.page_no AND p.page_no = ANY (v_redo)
          AND p.redo_token IS NOT NULL;
      END IF;
    END IF;

    -- Jobs that no file leads to may go on: there is a result, or a file that could be read.
    PERFORM pg_advisory_xact_lock_shared(1903520114, hashint8(p_document));
    IF EXISTS (SELECT FROM quire.job j WHERE j.document_id = p_document AND j.state = 'waiting' AND j.due = 'infinity')
    THEN
      PERFORM quire.free_stranded(ARRAY[p_document]);
    END IF;
    IF p_file IS NOT NULL AND v_done + v_blank > 0 THEN
      PERFORM FROM quire.batch_file f WHERE f.id = p_file FOR NO KEY UPDATE SKIP LOCKED;
      IF FOUND THEN
        UPDATE quire.batch_file f SET fault = NULL, fault_at = NULL, fault_count = 0
        WHERE f.id = p_file AND f.document_id = p_document AND f.fault_at < v_job.started_at;
      END IF;
    END IF;
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
      -- Another batch was faster with some: what the table says is what counts. A page that is to be read again goes
      -- back to the queue, as would any page that was left out.
      WITH settled AS (
        SELECT n AS page_no, CASE WHEN p.redo_token IS NULL THEN p.state END AS state, p.redo_mode, p.redo_prompt,
          p.notes
        FROM generate_series(p_first, v_last) n
        LEFT JOIN quire.page p ON p.document_id = p_document AND p.page_no = n
        WHERE n <> ALL (p_postponed)),
      again AS (
        INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
        SELECT p_batch, p_document, s.page_no, 1, s.redo_mode, s.redo_prompt FROM settled s WHERE s.state IS NULL)
      SELECT count(*) FILTER (WHERE s.state = 'done'), count(*) FILTER (WHERE s.state = 'blank'),
        count(*) FILTER (WHERE s.state = 'failed'), count(*) FILTER (WHERE s.state = 'quarantined'),
        count(*) FILTER (WHERE s.state IS NOT NULL AND s.notes IS NOT NULL)
      INTO v_done, v_blank, v_failed, v_quarantined, v_noted FROM settled s;
    END IF;
    INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked, noted)
    VALUES (p_batch, p_document, v_done, v_blank, v_failed, v_quarantined, cardinality(p_pages), v_noted);
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

-- Puts what these pages hold into the history, where they are still to be read again.
CREATE OR REPLACE FUNCTION quire.keep_history(p_document bigint, p_pages bigint[]) RETURNS void
LANGUAGE sql
AS $$
  INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, width, height, dpi,
    render_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end, mode,
    prompt, engine_version, markdown, layout, raw_text, error, program_version, precision, notes)
  SELECT p.document_id, p.page_no, p.state, p.attempt, p.token, p.worker_id, p.finished_at, p.width, p.height, p.dpi,
    p.render_seconds, p.encode_seconds, p.prefill_seconds, p.decode_seconds, p.prompt_tokens, p.output_tokens,
    p.reached_end, p.mode, p.prompt, p.engine_version, p.markdown, p.layout, p.raw_text, p.error, p.program_version,
    p.precision, p.notes
  FROM quire.page p
  WHERE p.document_id = p_document AND p.page_no = ANY (p_pages) AND p.redo_token IS NOT NULL
$$;

-- Puts results beyond the documents' last pages into the history; returns how many. The caller has locked the documents.
CREATE OR REPLACE FUNCTION quire.move_results_beyond_end(p_documents bigint[]) RETURNS bigint
LANGUAGE sql
AS $$
  WITH gone AS (
    DELETE FROM quire.page p USING quire.document d
    WHERE d.id = ANY (p_documents) AND p.document_id = d.id AND p.page_no > d.page_count RETURNING p.*),
  kept AS (
    INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, width, height,
      dpi, render_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end,
      mode, prompt, engine_version, program_version, precision, markdown, layout, raw_text, error, notes)
    SELECT g.document_id, g.page_no, g.state, g.attempt, g.token, g.worker_id, g.finished_at, g.width, g.height,
      g.dpi, g.render_seconds, g.encode_seconds, g.prefill_seconds, g.decode_seconds, g.prompt_tokens, g.output_tokens,
      g.reached_end, g.mode, g.prompt, g.engine_version, g.program_version, g.precision, g.markdown, g.layout,
      g.raw_text, g.error, g.notes
    FROM gone g RETURNING 1)
  SELECT count(*) FROM kept
$$;

-- Settles a leased job to which no file leads, as before; what is noted counts.
CREATE OR REPLACE FUNCTION quire.strand(p_batch bigint, p_job bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  v_job quire.job;
  v_due timestamptz;
  v_file bigint;
  v_missing bigint;
  v_done bigint;
  v_blank bigint;
  v_failed bigint;
  v_quarantined bigint;
  v_noted bigint;
BEGIN
  SELECT * INTO v_job FROM quire.job j WHERE j.batch_id = p_batch AND j.id = p_job;
  IF NOT pg_try_advisory_xact_lock(1903520114, 0)
    OR NOT pg_try_advisory_xact_lock(1903520114, hashint8(v_job.document_id))
  THEN
    PERFORM quire.put_off(p_batch, p_job, now() + (2 + 3 * random()) * interval '1 second');
    RETURN false;
  END IF;
  SELECT n.file_id, n.due INTO v_file, v_due FROM quire.next_file(p_batch, v_job.document_id, NULL, '{}') n;
  IF v_file IS NOT NULL THEN
    PERFORM quire.put_off(p_batch, p_job, greatest(v_due, now()));
    RETURN false;
  END IF;
  SELECT count(*) FILTER (WHERE p.state IS NULL), count(*) FILTER (WHERE p.state = 'done'),
    count(*) FILTER (WHERE p.state = 'blank'), count(*) FILTER (WHERE p.state = 'failed'),
    count(*) FILTER (WHERE p.state = 'quarantined'), count(*) FILTER (WHERE p.notes IS NOT NULL)
  INTO v_missing, v_done, v_blank, v_failed, v_quarantined, v_noted
  FROM generate_series(v_job.first_page, v_job.first_page + v_job.n_pages - 1) n
  LEFT JOIN quire.page p ON p.document_id = v_job.document_id AND p.page_no = n AND p.redo_token IS NULL;
  IF v_missing = v_job.n_pages THEN
    PERFORM quire.put_off(p_batch, p_job, 'infinity');
  ELSE
    DELETE FROM quire.job j WHERE j.batch_id = p_batch AND j.id = p_job;
    INSERT INTO quire.job
      (batch_id, document_id, state, first_page, n_pages, attempt, losses, override_mode, override_prompt, due)
    SELECT p_batch, v_job.document_id, 'waiting', min(m.page_no), count(*), v_job.attempt - 1, v_job.losses,
      v_job.override_mode, v_job.override_prompt, 'infinity'
    FROM (
      SELECT n AS page_no, n - row_number() OVER (ORDER BY n) AS island
      FROM generate_series(v_job.first_page, v_job.first_page + v_job.n_pages - 1) n
      WHERE NOT EXISTS (SELECT FROM quire.page p
        WHERE p.document_id = v_job.document_id AND p.page_no = n AND p.redo_token IS NULL)) m
    GROUP BY m.island;
  END IF;
  INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, stranded, noted)
  VALUES (p_batch, v_job.document_id, v_done, v_blank, v_failed, v_quarantined, v_missing, v_noted);
  RETURN v_missing > 0;
END
$$;

-- Gives a page up that workers were lost on, as before; what is noted counts.
CREATE OR REPLACE FUNCTION quire.quarantine(p_batch bigint, p_job bigint, p_engine text, p_program text, p_reason text)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_job quire.job;
  v_page quire.page;
BEGIN
  DELETE FROM quire.job j WHERE j.batch_id = p_batch AND j.id = p_job RETURNING * INTO v_job;
  IF NOT FOUND THEN RETURN; END IF;
  INSERT INTO quire.page
    (document_id, page_no, state, attempt, token, worker_id, mode, prompt, engine_version, program_version, error)
  VALUES (v_job.document_id, v_job.first_page, 'quarantined', v_job.attempt, v_job.token, v_job.worker_id,
    v_job.override_mode, v_job.override_prompt, p_engine, p_program, p_reason)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO v_page FROM quire.page p
    WHERE p.document_id = v_job.document_id AND p.page_no = v_job.first_page AND p.redo_token < v_job.token
      AND p.redo_mode IS NOT DISTINCT FROM v_job.override_mode
      AND p.redo_prompt IS NOT DISTINCT FROM v_job.override_prompt
    FOR NO KEY UPDATE;
    IF v_page.state IN ('done', 'blank') THEN
      -- Good text stays.
      INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, mode, prompt,
        engine_version, program_version, error)
      VALUES (v_job.document_id, v_job.first_page, 'quarantined', v_job.attempt, v_job.token, v_job.worker_id, now(),
        v_job.override_mode, v_job.override_prompt, p_engine, p_program, p_reason);
      UPDATE quire.page p SET redo_token = NULL, redo_mode = NULL, redo_prompt = NULL
      WHERE p.document_id = v_job.document_id AND p.page_no = v_job.first_page;
    ELSIF v_page.state IS NOT NULL THEN
      PERFORM quire.keep_history(v_job.document_id, ARRAY[v_job.first_page::bigint]);
      UPDATE quire.page p SET redo_token = NULL, redo_mode = NULL, redo_prompt = NULL, state = 'quarantined',
        attempt = v_job.attempt, token = v_job.token, worker_id = v_job.worker_id, finished_at = now(),
        mode = v_job.override_mode, prompt = v_job.override_prompt, engine_version = p_engine,
        program_version = p_program, precision = NULL, error = p_reason
      WHERE p.document_id = v_job.document_id AND p.page_no = v_job.first_page;
    END IF;
  END IF;
  -- Another batch may have settled the page meanwhile: what the table says is what counts.
  SELECT * INTO v_page FROM quire.page p WHERE p.document_id = v_job.document_id AND p.page_no = v_job.first_page;
  IF v_page.redo_token IS NULL THEN
    INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked, noted)
    VALUES (p_batch, v_job.document_id, (v_page.state = 'done')::int, (v_page.state = 'blank')::int,
      (v_page.state = 'failed')::int, (v_page.state = 'quarantined')::int, 1,
      (v_page.notes IS NOT NULL)::int);
  ELSE
    INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
    VALUES (p_batch, v_job.document_id, v_job.first_page, 1, v_page.redo_mode, v_page.redo_prompt);
  END IF;
END
$$;

-- Counts these documents anew from their pages and jobs, as before; what is noted counts.
CREATE OR REPLACE FUNCTION quire.recount_documents(p_documents bigint[], p_batch bigint, p_turn bigint, p_tallies boolean)
RETURNS bigint
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  v_changed bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(p_turn);
  WITH gone AS (
    DELETE FROM quire.tally_delta t
    WHERE t.document_id = ANY (p_documents) AND (p_batch IS NULL OR t.batch_id = p_batch) RETURNING *),
  truth AS MATERIALIZED (
    SELECT b.batch_id, b.document_id, b.page_count, b.done, b.blank, b.failed, b.quarantined, b.stranded,
      b.noted, d.page_count AS new_pages, p.done AS new_done, p.blank AS new_blank, p.failed AS new_failed,
      p.quarantined AS new_quarantined, j.stranded AS new_stranded, p.noted AS new_noted
    FROM quire.batch_document b JOIN quire.document d ON d.id = b.document_id
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE p.state = 'done') AS done, count(*) FILTER (WHERE p.state = 'blank') AS blank,
        count(*) FILTER (WHERE p.state = 'failed') AS failed,
        count(*) FILTER (WHERE p.state = 'quarantined') AS quarantined,
        count(*) FILTER (WHERE p.notes IS NOT NULL) AS noted
      FROM quire.page p
      WHERE p.document_id = b.document_id AND p.page_no <= d.page_count AND p.redo_token IS NULL AND NOT EXISTS (
        SELECT FROM quire.job j WHERE j.batch_id = b.batch_id AND j.document_id = b.document_id
          AND p.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1)) p
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(j.n_pages), 0) AS stranded FROM quire.job j
      WHERE j.batch_id = b.batch_id AND j.document_id = b.document_id AND j.state = 'waiting'
        AND j.due = 'infinity') j
    WHERE b.document_id = ANY (p_documents) AND (p_batch IS NULL OR b.batch_id = p_batch)),
  changed AS (
    UPDATE quire.batch_document b SET page_count = t.new_pages, done = t.new_done, blank = t.new_blank,
      failed = t.new_failed, quarantined = t.new_quarantined, stranded = t.new_stranded,
      noted = t.new_noted
    FROM truth t
    WHERE b.batch_id = t.batch_id AND b.document_id = t.document_id
      AND (t.page_count, t.done, t.blank, t.failed, t.quarantined, t.stranded, t.noted) IS DISTINCT FROM
        (t.new_pages, t.new_done, t.new_blank, t.new_failed, t.new_quarantined, t.new_stranded,
          t.new_noted)
    RETURNING 1),
  change AS (
    SELECT batch_id, 0::bigint AS documents, sum(new_pages - page_count) AS pages, sum(new_done - done) AS done,
      sum(new_blank - blank) AS blank, sum(new_failed - failed) AS failed,
      sum(new_quarantined - quarantined) AS quarantined, sum(new_stranded - stranded) AS stranded,
      sum(new_noted - noted) AS noted,
      sum((new_done + new_blank = new_pages)::int - (done + blank = page_count)::int) AS complete,
      sum((new_done + new_blank + new_failed + new_quarantined + new_stranded = new_pages
          AND new_failed + new_quarantined + new_stranded > 0)::int
        - (done + blank + failed + quarantined + stranded = page_count
          AND failed + quarantined + stranded > 0)::int) AS with_failures
    FROM truth GROUP BY batch_id
    UNION ALL
    SELECT batch_id, sum(documents), sum(pages), 0, 0, 0, 0, 0, 0, 0, 0 FROM gone GROUP BY batch_id),
  by_batch AS (
    SELECT batch_id, sum(documents) AS documents, sum(pages) AS pages, sum(done) AS done, sum(blank) AS blank,
      sum(failed) AS failed, sum(quarantined) AS quarantined, sum(stranded) AS stranded, sum(noted) AS noted,
      sum(complete) AS complete,
      sum(with_failures) AS with_failures
    FROM change GROUP BY batch_id),
  tallied AS (
    UPDATE quire.tally t SET documents = t.documents + b.documents, pages = t.pages + b.pages, done = t.done + b.done,
      blank = t.blank + b.blank, failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined,
      stranded = t.stranded + b.stranded, noted = t.noted + b.noted, complete = t.complete + b.complete,
      with_failures = t.with_failures + b.with_failures
    FROM by_batch b WHERE t.batch_id = b.batch_id AND p_tallies)
  SELECT count(*) INTO v_changed FROM changed;
  RETURN v_changed;
END
$$;

-- Moves these rows of tally_delta into the counts that status reads; the caller has the turn at it.
CREATE OR REPLACE FUNCTION quire.fold_rows(p_rows tid[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  WITH taken AS (DELETE FROM quire.tally_delta d WHERE d.ctid = ANY (p_rows) RETURNING *),
  by_document AS (
    SELECT batch_id, document_id, sum(done)::int AS done, sum(blank)::int AS blank, sum(failed)::int AS failed,
      sum(quarantined)::int AS quarantined, sum(stranded)::int AS stranded, sum(noted)::int AS noted
    FROM taken WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
  moved AS (
    UPDATE quire.batch_document b SET done = b.done + d.done, blank = b.blank + d.blank,
      failed = b.failed + d.failed, quarantined = b.quarantined + d.quarantined, stranded = b.stranded + d.stranded,
      noted = b.noted + d.noted
    FROM by_document d WHERE b.batch_id = d.batch_id AND b.document_id = d.document_id
    RETURNING b.batch_id, b.page_count,
      b.done + b.blank + b.failed + b.quarantined + b.stranded AS settled,
      b.failed + b.quarantined + b.stranded AS bad,
      d.done + d.blank + d.failed + d.quarantined + d.stranded AS settled_change,
      d.failed + d.quarantined + d.stranded AS bad_change),
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
      sum(quarantined) AS quarantined, sum(stranded) AS stranded, sum(noted) AS noted
    FROM taken GROUP BY batch_id)
  UPDATE quire.tally t SET documents = t.documents + b.documents, unreadable = t.unreadable + b.unreadable,
    ignored = t.ignored + b.ignored, pages = t.pages + b.pages, done = t.done + b.done, blank = t.blank + b.blank,
    failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined, stranded = t.stranded + b.stranded,
    noted = t.noted + b.noted,
    complete = t.complete + coalesce(d.complete, 0), with_failures = t.with_failures + coalesce(d.with_failures, 0)
  FROM by_batch b LEFT JOIN documents d ON d.batch_id = b.batch_id WHERE t.batch_id = b.batch_id;
END
$$;

DROP FUNCTION quire.progress(bigint);

-- The counts of one batch or of all, exact as of now: those that are folded, and the deltas of the last second or so on
-- top. Writes nothing and waits for nobody; `deltas` says how many there were.
CREATE FUNCTION quire.progress(p_batch bigint)
RETURNS TABLE (
  batch_id bigint, documents bigint, complete bigint, with_failures bigint, unreadable bigint, ignored bigint,
  pages bigint, done bigint, blank bigint, failed bigint, quarantined bigint, leased bigint,
  per_minute double precision, is_current boolean, deltas bigint, stranded bigint, fold_error text,
  noted bigint)
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
      sum(quarantined) AS quarantined, sum(stranded) AS stranded
    FROM fresh WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
  moved AS (
    SELECT b.batch_id, b.page_count, b.done + b.blank + b.failed + b.quarantined + b.stranded AS settled_before,
      b.failed + b.quarantined + b.stranded AS bad_before,
      d.done + d.blank + d.failed + d.quarantined + d.stranded AS settled_change,
      d.failed + d.quarantined + d.stranded AS bad_change
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
      sum(quarantined) AS quarantined, sum(stranded) AS stranded, sum(noted) AS noted, count(*) AS deltas
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
    coalesce(l.pages, 0), r.per_minute, r.is_current, coalesce(d.deltas, 0), t.stranded + coalesce(d.stranded, 0),
    t.fold_error, t.noted + coalesce(d.noted, 0)
  FROM quire.tally t
  LEFT JOIN by_batch d ON d.batch_id = t.batch_id
  LEFT JOIN by_state s ON s.batch_id = t.batch_id
  LEFT JOIN by_lease l ON l.batch_id = t.batch_id
  LEFT JOIN rate r ON r.batch_id = t.batch_id
  WHERE p_batch IS NULL OR t.batch_id = p_batch;
END
$$;

-- What was noted on the latest p_most pages and documents, by code, the most frequent first: how many pages, how many
-- documents, and the latest example; `page_no` is NULL where that is a document.
--
-- The work is by p_most, whatever the sizes of the tables; for one batch, later ones of other batches are stepped over.
CREATE FUNCTION quire.note_groups(p_batch bigint, p_most bigint)
RETURNS TABLE (
  code text, pages bigint, documents bigint, example text, batch_name text, source_root text, source_path bytea,
  root text, path bytea, page_no integer)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH pages AS MATERIALIZED (
    SELECT p.document_id, p.page_no, p.notes, p.finished_at FROM quire.page p
    WHERE p.notes IS NOT NULL AND EXISTS (
      SELECT FROM quire.batch_document d
      WHERE d.document_id = p.document_id AND (p_batch IS NULL OR d.batch_id = p_batch))
    ORDER BY p.finished_at DESC LIMIT p_most),
  documents AS MATERIALIZED (
    SELECT d.id AS document_id, d.notes FROM quire.document d
    WHERE d.notes IS NOT NULL AND EXISTS (
      SELECT FROM quire.batch_document b WHERE b.document_id = d.id AND (p_batch IS NULL OR b.batch_id = p_batch))
    ORDER BY d.id DESC LIMIT p_most),
  -- A page that has two notes of a kind counts once.
  noted AS (
    SELECT DISTINCT ON (p.document_id, p.page_no, n.note ->> 'code') n.note ->> 'code' AS code,
      n.note ->> 'text' AS example, p.document_id, p.page_no, p.finished_at
    FROM pages p CROSS JOIN LATERAL jsonb_array_elements(p.notes) WITH ORDINALITY n(note, place)
    ORDER BY p.document_id, p.page_no, n.note ->> 'code', n.place),
  told AS (
    SELECT DISTINCT ON (d.document_id, n.note ->> 'code') n.note ->> 'code' AS code, n.note ->> 'text' AS example,
      d.document_id
    FROM documents d CROSS JOIN LATERAL jsonb_array_elements(d.notes) WITH ORDINALITY n(note, place)
    ORDER BY d.document_id, n.note ->> 'code', n.place),
  every AS (
    SELECT n.code, n.example, n.document_id, n.page_no, n.finished_at FROM noted n
    UNION ALL
    SELECT t.code, t.example, t.document_id, NULL, NULL FROM told t),
  groups AS (
    SELECT DISTINCT ON (e.code) e.code, e.example, e.document_id, e.page_no,
      count(e.page_no) OVER (PARTITION BY e.code) AS pages,
      count(*) OVER (PARTITION BY e.code) - count(e.page_no) OVER (PARTITION BY e.code) AS documents
    FROM every e ORDER BY e.code, e.finished_at DESC NULLS LAST, e.page_no, e.document_id DESC)
  SELECT g.code, g.pages, g.documents, g.example, f.name, f.source_root, f.source_path, f.root, f.path, g.page_no
  FROM groups g
  CROSS JOIN LATERAL (
    SELECT b.name, b.source_root, b.source_path, f.root, f.path FROM (
      SELECT d.batch_id FROM quire.batch_document d
      WHERE d.document_id = g.document_id AND (p_batch IS NULL OR d.batch_id = p_batch)
      ORDER BY d.batch_id LIMIT 1) d
    JOIN quire.batch b ON b.id = d.batch_id
    CROSS JOIN LATERAL (
      SELECT f.root, f.path FROM quire.batch_file f
      WHERE f.batch_id = d.batch_id AND f.document_id = g.document_id ORDER BY f.gone_at NULLS FIRST, f.id LIMIT 1) f) f
  ORDER BY g.pages + g.documents DESC, g.code;
END
$$;

-- Makes the group roles where this role may, and gives them their rights on all that the schema holds, as before.
CREATE OR REPLACE FUNCTION quire.grant_roles() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_role text;
  v_missing text[] := '{}';
BEGIN
  IF NOT (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'quire') THEN
    RETURN v_missing;
  END IF;
  FOREACH v_role IN ARRAY ARRAY['quire_reader', 'quire_worker', 'quire_submitter'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
      IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)) THEN
        BEGIN
          EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
          -- Roles belong to the cluster: Quire in another database of it was faster.
        END;
      ELSE
        RAISE NOTICE 'An administrator has to run CREATE ROLE % NOLOGIN, and then you `quire migrate` again.', v_role;
        v_missing := v_missing || v_role;
        CONTINUE;
      END IF;
    END IF;

    -- Reading is for all three; with the sequences it is enough for pg_dump too.
    EXECUTE format('GRANT USAGE ON SCHEMA quire TO %I', v_role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA quire TO %I', v_role);
    EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA quire TO %I', v_role);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA quire TO %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT SELECT ON TABLES TO %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT SELECT ON SEQUENCES TO %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT EXECUTE ON FUNCTIONS TO %I', v_role);
    CONTINUE WHEN v_role = 'quire_reader';

    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA quire TO %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT USAGE ON SEQUENCES TO %I', v_role);
    IF v_role = 'quire_worker' THEN
      -- Claim, record, heartbeat, keep house. Neither batches nor documents nor results can be taken away, and of
      -- results only those change that somebody asked for again (quire.guard_page).
      GRANT INSERT ON quire.worker, quire.job, quire.page, quire.page_history, quire.page_figure, quire.attempt,
        quire.tally_delta, quire.throughput TO quire_worker;
      GRANT UPDATE ON quire.worker, quire.job, quire.page, quire.throughput, quire.tally TO quire_worker;
      GRANT DELETE ON quire.job, quire.tally_delta, quire.throughput TO quire_worker;
      GRANT UPDATE (done, blank, failed, quarantined, stranded, noted) ON quire.batch_document TO quire_worker;
      GRANT UPDATE (has_jobs, first_ready) ON quire.batch TO quire_worker;
      GRANT UPDATE (fault, fault_at, fault_count) ON quire.batch_file TO quire_worker;
    ELSE
      GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA quire TO quire_submitter;
      REVOKE INSERT, UPDATE, DELETE ON quire.schema_migration FROM quire_submitter;
      ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT INSERT, UPDATE, DELETE ON TABLES TO quire_submitter;
    END IF;
  END LOOP;
  RETURN v_missing;
END
$$;

SELECT quire.grant_roles();
