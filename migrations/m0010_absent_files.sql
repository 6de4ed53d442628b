-- A file that is missing from an empty folder may lie on a mount that is away: it is tried again for as long as that is so.
-- What batches that are over know of a content holds up no other batch.

-- `fault_count` is -1 for such a file.

-- When a file that had so many faults in a row is tried again.
CREATE OR REPLACE FUNCTION quire.file_due(p_at timestamptz, p_count smallint, p_retry_seconds real) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT p_at + CASE WHEN p_count < 0 THEN 60
    ELSE least(3600, p_retry_seconds * power(4, least(p_count, 12) - 1)) END * interval '1 second'
$$;

CREATE OR REPLACE FUNCTION quire.next_file(
  p_batch bigint, p_document bigint, p_roots text[], p_excluded bigint[], OUT file_id bigint, OUT due timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  v_most smallint;
  v_retry real;
BEGIN
  SELECT b.max_attempts, b.retry_seconds INTO v_most, v_retry FROM quire.batch b WHERE b.id = p_batch;
  SELECT c.id, c.due INTO file_id, due FROM (
    SELECT f.id, f.batch_id, CASE f.fault_count WHEN 0 THEN '-infinity'
      ELSE quire.file_due(f.fault_at, f.fault_count, v_retry) END AS due
    FROM quire.batch_document d
    JOIN quire.batch_file f ON f.batch_id = d.batch_id AND f.document_id = d.document_id
    JOIN quire.batch b ON b.id = d.batch_id
    WHERE d.document_id = p_document AND f.gone_at IS NULL AND f.fault_count < v_most
      AND (b.id = p_batch OR b.state NOT IN ('cancelled', 'deleting'))
      -- Another batch's file that is away is no reason to wait: it is read there, if it comes back.
      AND (b.id = p_batch OR f.fault_count >= 0)
      AND (p_roots IS NULL OR f.root = ANY (p_roots)) AND f.batch_id <> ALL (p_excluded)) c
  ORDER BY c.due, c.batch_id <> p_batch, c.id DESC LIMIT 1;
END
$$;

DROP FUNCTION quire.fault_file(bigint, bigint, bigint, bigint, bigint, text);

-- Notes that the file of a lease cannot be read, and gives the lease back with no attempt counted: `next` where another
-- file is there at once, `waits` where one will be tried again later, `stranded` where none is left; `lost` where the
-- lease was taken away. p_is_absent: its folder is empty.
--
-- Many leases meet the fault of one file at the same time: it counts once for those that began before it was known.
CREATE FUNCTION quire.fault_file(
  p_worker bigint, p_batch bigint, p_job bigint, p_token bigint, p_file bigint, p_reason text,
  p_is_absent boolean DEFAULT false, OUT verdict text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_job quire.job;
  v_file bigint;
  v_due timestamptz;
  v_before smallint := (SELECT f.fault_count FROM quire.batch_file f WHERE f.id = p_file);
BEGIN
  SELECT * INTO v_job FROM quire.job j
  WHERE j.batch_id = p_batch AND j.id = p_job AND j.token = p_token AND j.worker_id IS NOT DISTINCT FROM p_worker
  FOR UPDATE;
  IF NOT FOUND THEN
    verdict := 'lost';
    RETURN;
  END IF;
  -- A submission that is just writing the file clears its fault.
  PERFORM FROM quire.batch_file f WHERE f.id = p_file AND f.document_id = v_job.document_id
    FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE quire.batch_file f SET fault = p_reason, fault_at = clock_timestamp(),
      fault_count = CASE WHEN p_is_absent THEN -1 ELSE least(greatest(f.fault_count, 0) + 1, 1000) END
    WHERE f.id = p_file AND f.document_id = v_job.document_id
      AND (f.fault_at IS NULL OR f.fault_at < v_job.started_at);
  END IF;
  -- What is tried each minute is told once.
  IF NOT p_is_absent OR v_before IS DISTINCT FROM -1 THEN
    INSERT INTO quire.attempt
      (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at, outcome, error)
    VALUES (p_token, p_batch, v_job.document_id, v_job.lease_first, v_job.first_page + v_job.n_pages - v_job.lease_first,
      v_job.attempt, p_worker, v_job.started_at, 'released', p_reason);
  END IF;
  SELECT n.file_id, n.due INTO v_file, v_due FROM quire.next_file(p_batch, v_job.document_id, NULL, '{}') n;
  IF v_file IS NULL THEN
    verdict := CASE WHEN quire.strand(p_batch, p_job) THEN 'stranded' ELSE 'waits' END;
  ELSIF v_due > now() THEN
    PERFORM quire.put_off(p_batch, p_job, v_due);
    verdict := 'waits';
  ELSE
    PERFORM quire.put_off(p_batch, p_job, now());
    UPDATE quire.job j SET state = 'ready', due = NULL WHERE j.batch_id = p_batch AND j.id = p_job;
    verdict := 'next';
  END IF;
END
$$;

SELECT quire.grant_roles();
