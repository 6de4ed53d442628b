-- A page that workers were lost with is read alone before it is given up, and a worker leaves pages of another version.

DROP FUNCTION quire.claim(bigint, text, text[], double precision, bigint, boolean);

-- Leases the next range of pages to a worker; no row if there is none for it now.
--
-- The highest priority first, and among equals by weighted lottery; within a batch the lowest number that nobody else is
-- just taking. `recorded` has bit n set where another batch has recorded the page first_page + n meanwhile. `must_be_alone`
-- tells of a page that is given up if its worker is lost once more: the worker reads it with nothing else in hand.
CREATE FUNCTION quire.claim(
  p_worker bigint, p_model_digest text, p_roots text[], p_lease_seconds double precision, p_key bigint,
  p_is_repeated boolean)
RETURNS TABLE (
  batch_id bigint, job_id bigint, token bigint, document_id bigint, sha256 bytea, format quire.document_format,
  root text, path bytea, size bigint, modified_ns bigint, first_page integer, n_pages smallint, attempt smallint,
  model_digest text, mode text, prompt text, max_new_tokens integer, pdf_dpi integer, engine_version text,
  max_attempts smallint, retry_seconds real, recorded integer, must_be_alone boolean)
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
        AND EXISTS (SELECT FROM quire.worker w WHERE w.id = p_worker AND w.ended_at IS NULL AND NOT w.should_drain
          AND w.version = p.engine_version)
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
      b.retry_seconds, r.recorded, j.n_pages = 1 AND j.losses > 0 AND j.losses + 1 >= b.max_losses
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
