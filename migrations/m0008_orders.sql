-- What people order: files that are gone are marked and leave the work, page counts can be corrected, counts made anew.

-- The row of a file that is gone still says what it held, also where its document has left the batch.
ALTER TABLE quire.batch_file DROP CONSTRAINT batch_file_batch_id_document_id_fkey,
  ADD CONSTRAINT batch_file_document_fkey FOREIGN KEY (document_id) REFERENCES quire.document NOT VALID;

-- Whether changed_ns means anything: false for rows of before, whose file is told by size and time of modification until
-- it is looked into again. Two statements, so that no row is written anew.
ALTER TABLE quire.batch_file ADD COLUMN has_changed_ns boolean NOT NULL DEFAULT false;
ALTER TABLE quire.batch_file ALTER COLUMN has_changed_ns SET DEFAULT true;

-- Counts these documents anew from their pages and jobs, in one batch or in all; returns how many were counted wrongly.
--
-- The caller has locked the documents, their batches and all their jobs (p_turn is the key of the turn at the counts).
-- Changes that were not folded in yet are in what is counted, and go. The batches' own counts follow where p_tallies
-- says so; else the caller makes them anew.
CREATE FUNCTION quire.recount_documents(p_documents bigint[], p_batch bigint, p_turn bigint, p_tallies boolean)
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
      d.page_count AS new_pages, p.done AS new_done, p.blank AS new_blank, p.failed AS new_failed,
      p.quarantined AS new_quarantined, j.stranded AS new_stranded
    FROM quire.batch_document b JOIN quire.document d ON d.id = b.document_id
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE p.state = 'done') AS done, count(*) FILTER (WHERE p.state = 'blank') AS blank,
        count(*) FILTER (WHERE p.state = 'failed') AS failed,
        count(*) FILTER (WHERE p.state = 'quarantined') AS quarantined
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
      failed = t.new_failed, quarantined = t.new_quarantined, stranded = t.new_stranded
    FROM truth t
    WHERE b.batch_id = t.batch_id AND b.document_id = t.document_id
      AND (t.page_count, t.done, t.blank, t.failed, t.quarantined, t.stranded) IS DISTINCT FROM
        (t.new_pages, t.new_done, t.new_blank, t.new_failed, t.new_quarantined, t.new_stranded)
    RETURNING 1),
  change AS (
    SELECT batch_id, 0::bigint AS documents, sum(new_pages - page_count) AS pages, sum(new_done - done) AS done,
      sum(new_blank - blank) AS blank, sum(new_failed - failed) AS failed,
      sum(new_quarantined - quarantined) AS quarantined, sum(new_stranded - stranded) AS stranded,
      sum((new_done + new_blank = new_pages)::int - (done + blank = page_count)::int) AS complete,
      sum((new_done + new_blank + new_failed + new_quarantined + new_stranded = new_pages
          AND new_failed + new_quarantined + new_stranded > 0)::int
        - (done + blank + failed + quarantined + stranded = page_count
          AND failed + quarantined + stranded > 0)::int) AS with_failures
    FROM truth GROUP BY batch_id
    UNION ALL
    SELECT batch_id, sum(documents), sum(pages), 0, 0, 0, 0, 0, 0, 0 FROM gone GROUP BY batch_id),
  by_batch AS (
    SELECT batch_id, sum(documents) AS documents, sum(pages) AS pages, sum(done) AS done, sum(blank) AS blank,
      sum(failed) AS failed, sum(quarantined) AS quarantined, sum(stranded) AS stranded, sum(complete) AS complete,
      sum(with_failures) AS with_failures
    FROM change GROUP BY batch_id),
  tallied AS (
    UPDATE quire.tally t SET documents = t.documents + b.documents, pages = t.pages + b.pages, done = t.done + b.done,
      blank = t.blank + b.blank, failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined,
      stranded = t.stranded + b.stranded, complete = t.complete + b.complete,
      with_failures = t.with_failures + b.with_failures
    FROM by_batch b WHERE t.batch_id = b.batch_id AND p_tallies)
  SELECT count(*) INTO v_changed FROM changed;
  RETURN v_changed;
END
$$;

-- Puts results beyond the documents' last pages into the history; returns how many. The caller has locked the documents.
CREATE FUNCTION quire.move_results_beyond_end(p_documents bigint[]) RETURNS bigint
LANGUAGE sql
AS $$
  WITH gone AS (
    DELETE FROM quire.page p USING quire.document d
    WHERE d.id = ANY (p_documents) AND p.document_id = d.id AND p.page_no > d.page_count RETURNING p.*),
  kept AS (
    INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, width, height,
      dpi, render_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end,
      mode, prompt, engine_version, program_version, precision, markdown, layout, raw_text, error)
    SELECT g.document_id, g.page_no, g.state, g.attempt, g.token, g.worker_id, g.finished_at, g.width, g.height,
      g.dpi, g.render_seconds, g.encode_seconds, g.prefill_seconds, g.decode_seconds, g.prompt_tokens, g.output_tokens,
      g.reached_end, g.mode, g.prompt, g.engine_version, g.program_version, g.precision, g.markdown, g.layout,
      g.raw_text, g.error
    FROM gone g RETURNING 1)
  SELECT count(*) FROM kept
$$;

-- Corrects how many pages a document has, in all batches; false where that is what was known.
--
-- Further pages are queued in each batch that is not over. Of fewer, results beyond the end go to the history, and jobs
-- end there; a lease that reaches beyond it ends, and what is left of its range is ready again. Workers may call it,
-- though they may change neither documents nor results by themselves; who may only read may not.
CREATE FUNCTION quire.correct_page_count(p_document bigint, p_count integer, p_turn bigint) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_before integer;
  v_locked bigint[];
BEGIN
  IF NOT has_table_privilege(session_user, 'quire.page', 'INSERT') THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to correct a page count';
  END IF;
  SELECT d.page_count INTO v_before FROM quire.document d WHERE d.id = p_document FOR NO KEY UPDATE;
  IF v_before IS NULL OR p_count < 1 OR v_before = p_count THEN RETURN false; END IF;
  PERFORM FROM quire.batch b
  WHERE b.id IN (SELECT d.batch_id FROM quire.batch_document d WHERE d.document_id = p_document)
  ORDER BY b.id FOR NO KEY UPDATE;
  -- Also those that others are just making: they hold another job of the same batch and document meanwhile.
  LOOP
    SELECT coalesce(array_agg(j.id), '{}') INTO v_locked FROM (
      SELECT j.id FROM quire.job j WHERE j.document_id = p_document ORDER BY j.batch_id, j.id FOR UPDATE) j;
    EXIT WHEN NOT EXISTS (SELECT FROM quire.job j WHERE j.document_id = p_document AND j.id <> ALL (v_locked));
  END LOOP;
  UPDATE quire.document d SET page_count = p_count WHERE d.id = p_document;
  IF p_count > v_before THEN
    WITH made AS (
      INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
      SELECT d.batch_id, p_document, n, least(16, p_count - n + 1)
      FROM quire.batch_document d JOIN quire.batch b ON b.id = d.batch_id AND b.state NOT IN ('cancelled', 'deleting')
      CROSS JOIN generate_series(v_before + 1, p_count, 16) n
      WHERE d.document_id = p_document ORDER BY d.batch_id, n RETURNING batch_id)
    UPDATE quire.batch b SET has_jobs = true WHERE b.id IN (SELECT m.batch_id FROM made m) AND NOT b.has_jobs;
  ELSE
    INSERT INTO quire.attempt
      (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at, outcome)
    SELECT j.token, j.batch_id, j.document_id, j.lease_first, j.first_page + j.n_pages - j.lease_first, j.attempt,
      j.worker_id, j.started_at, 'cancelled'
    FROM quire.job j
    WHERE j.document_id = p_document AND j.state = 'leased' AND j.first_page + j.n_pages - 1 > p_count;
    DELETE FROM quire.job j WHERE j.document_id = p_document AND j.first_page > p_count;
    UPDATE quire.job j SET n_pages = p_count - j.first_page + 1,
      attempt = j.attempt - (j.state = 'leased')::int::smallint,
      due = CASE j.state WHEN 'waiting' THEN j.due END,
      state = CASE j.state WHEN 'waiting' THEN 'waiting' ELSE 'ready' END::quire.job_state,
      token = NULL, worker_id = NULL, started_at = NULL, lease_seconds = NULL, lease_first = NULL, lease_error = NULL,
      claim_key = NULL
    WHERE j.document_id = p_document AND j.first_page + j.n_pages - 1 > p_count;
    PERFORM quire.move_results_beyond_end(ARRAY[p_document]);
  END IF;
  PERFORM quire.recount_documents(ARRAY[p_document], NULL, p_turn, true);
  RETURN true;
END
$$;

SELECT quire.grant_roles();
