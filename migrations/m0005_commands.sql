-- What the commands of the operator ask for: a page's attempts, problems by reason, why a batch does not go on.

-- The roots that the worker knows by its --root; NULL where it is not known, as of workers before this step.
ALTER TABLE quire.worker ADD COLUMN roots text[];

-- Attempts at a page for `quire show`, and of a worker for `quire worker list`.
CREATE INDEX attempt_document ON quire.attempt (document_id, first_page);
CREATE INDEX attempt_worker ON quire.attempt (worker_id) INCLUDE (n_pages, outcome);

-- The latest problems. Both indexes hold nothing but problems, which are few.
CREATE INDEX page_problem_time ON quire.page (finished_at) WHERE state IN ('failed', 'quarantined');
CREATE INDEX batch_file_unreadable ON quire.batch_file (batch_id, id) WHERE kind = 'unreadable';

-- The reasons of the latest p_most pages and p_most files that could not be read, the most frequent first, each with
-- how many there are and its latest example.
--
-- Reasons that differ only in numbers are one. The work is by the number of batches and p_most, whatever the sizes of
-- the tables; for one batch, later problems of other batches are stepped over.
CREATE FUNCTION quire.problem_groups(p_batch bigint, p_most bigint, p_groups bigint)
RETURNS TABLE (
  reason text, n bigint, batch_name text, source_root text, source_path bytea, root text, path bytea, page_no integer)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH pages AS MATERIALIZED (
    SELECT p.document_id, p.page_no, left(p.error, 300) AS reason, p.finished_at FROM quire.page p
    WHERE p.state IN ('failed', 'quarantined') AND (p_batch IS NULL OR EXISTS (
      SELECT FROM quire.batch_document d WHERE d.batch_id = p_batch AND d.document_id = p.document_id))
    ORDER BY p.finished_at DESC LIMIT p_most),
  files AS MATERIALIZED (
    SELECT f.id AS file_id, left(f.reason, 300) AS reason
    FROM quire.tally t CROSS JOIN LATERAL (
      SELECT f.id, f.reason FROM quire.batch_file f
      WHERE f.batch_id = t.batch_id AND f.kind = 'unreadable' ORDER BY f.id DESC LIMIT p_most) f
    WHERE p_batch IS NULL OR t.batch_id = p_batch LIMIT p_most),
  problems AS (
    SELECT p.reason, p.document_id, p.page_no, p.finished_at, NULL::bigint AS file_id FROM pages p
    UNION ALL
    SELECT f.reason, NULL, NULL, NULL, f.file_id FROM files f),
  groups AS (
    SELECT DISTINCT ON (g.key) g.reason, g.document_id, g.page_no, g.file_id, g.n FROM (
      SELECT x.*, regexp_replace(x.reason, '[0-9]+', '0', 'g') AS key,
        count(*) OVER (PARTITION BY regexp_replace(x.reason, '[0-9]+', '0', 'g')) AS n
      FROM problems x) g
    ORDER BY g.key, g.finished_at DESC NULLS LAST, g.page_no, g.file_id DESC),
  foremost AS (SELECT * FROM groups g ORDER BY g.n DESC, g.reason LIMIT p_groups)
  SELECT g.reason, g.n, b.name, b.source_root, b.source_path, f.root, f.path, g.page_no
  FROM foremost g
  CROSS JOIN LATERAL (
    SELECT f.batch_id, f.root, f.path FROM quire.batch_file f WHERE f.id = g.file_id
    UNION ALL
    (SELECT f.batch_id, f.root, f.path FROM (
        SELECT d.batch_id FROM quire.batch_document d
        WHERE d.document_id = g.document_id AND (p_batch IS NULL OR d.batch_id = p_batch)
        ORDER BY d.batch_id LIMIT 1) d
      CROSS JOIN LATERAL (
        SELECT f.batch_id, f.root, f.path FROM quire.batch_file f
        WHERE f.batch_id = d.batch_id AND f.document_id = g.document_id ORDER BY f.id LIMIT 1) f)) f
  JOIN quire.batch b ON b.id = f.batch_id
  ORDER BY g.n DESC, g.reason;
END
$$;

-- Of each open batch with jobs: its root, whether a job is ready, and if none is, when the first waiting one will be.
CREATE FUNCTION quire.batch_waits(p_batch bigint)
RETURNS TABLE (batch_id bigint, root text, has_ready boolean, due timestamptz)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT b.id, b.source_root, r.has_ready,
    CASE WHEN NOT r.has_ready THEN (
      SELECT j.due FROM quire.job j WHERE j.state = 'waiting' AND j.batch_id = b.id ORDER BY j.due LIMIT 1) END
  FROM quire.batch b
  -- From where claims begin: before it stand the entries of jobs that are taken.
  CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready' AND j.id >= b.first_ready)
      OR EXISTS (SELECT FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready') AS has_ready) r
  WHERE b.state = 'open' AND b.has_jobs AND (p_batch IS NULL OR b.id = p_batch);
END
$$;

SELECT quire.grant_roles();
