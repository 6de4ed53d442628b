-- A lease that its living worker names is not lost, also where the heartbeat cannot renew it: while a result is being
-- stored, its row is locked, and on a slow disk that can take longer than the lease.

-- The tokens of the last heartbeat.
ALTER TABLE quire.worker ADD COLUMN named bigint[] NOT NULL DEFAULT '{}';

CREATE OR REPLACE FUNCTION quire.heartbeat(p_worker bigint, p_tokens bigint[], p_keys bigint[], p_unwell text)
RETURNS TABLE (token bigint, should_drain boolean, given_back bigint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_worker quire.worker;
  v_given_back bigint;
BEGIN
  SELECT * INTO v_worker FROM quire.worker w WHERE w.id = p_worker AND w.ended_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE quire.worker w SET seen_at = now(), unwell = p_unwell, named = p_tokens,
    unwell_since = CASE WHEN p_unwell IS NOT NULL THEN coalesce(w.unwell_since, now()) END
  WHERE w.id = p_worker;
  -- What is locked is just being recorded or given back; that it is named keeps it meanwhile.
  WITH held AS MATERIALIZED (
    SELECT j.batch_id, j.id FROM quire.job j
    WHERE j.worker_id = p_worker AND j.state = 'leased' AND j.token = ANY (p_tokens)
      AND j.due < now() + j.lease_seconds / 2 * interval '1 second'
    FOR UPDATE SKIP LOCKED)
  UPDATE quire.job j SET due = now() + j.lease_seconds * interval '1 second'
  FROM held h WHERE j.batch_id = h.batch_id AND j.id = h.id;
  WITH forgotten AS MATERIALIZED (
    SELECT j.* FROM quire.job j
    WHERE j.worker_id = p_worker AND j.state = 'leased' AND j.token <> ALL (p_tokens)
      AND (j.claim_key IS NULL OR j.claim_key <> ALL (p_keys)) AND j.started_at < v_worker.seen_at
    ORDER BY j.batch_id, j.id FOR UPDATE SKIP LOCKED),
  ended AS (
    INSERT INTO quire.attempt
      (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at, outcome, error)
    SELECT f.token, f.batch_id, f.document_id, f.lease_first, f.first_page + f.n_pages - f.lease_first, f.attempt,
      f.worker_id, f.started_at, 'released', 'The worker did not know of this lease.' FROM forgotten f),
  given AS (
    UPDATE quire.job j SET state = 'ready', due = NULL, attempt = j.attempt - 1, token = NULL, worker_id = NULL,
      started_at = NULL, lease_seconds = NULL, lease_first = NULL, lease_error = NULL, claim_key = NULL
    FROM forgotten f WHERE j.batch_id = f.batch_id AND j.id = f.id RETURNING 1)
  SELECT count(*) INTO v_given_back FROM given;
  RETURN QUERY
    SELECT NULL::bigint, v_worker.should_drain, v_given_back
    UNION ALL
    SELECT t.token, v_worker.should_drain, v_given_back FROM unnest(p_tokens) t(token) WHERE NOT EXISTS (
      SELECT FROM quire.job j WHERE j.worker_id = p_worker AND j.state = 'leased' AND j.token = t.token);
END
$$;

-- Whether a lease is to be taken back: its worker has ended, or, with p_hears, it is overdue and nobody names it.
CREATE FUNCTION quire.is_lost(p_worker bigint, p_token bigint, p_due timestamptz, p_hears boolean) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT NOT EXISTS (
    SELECT FROM quire.worker w
    WHERE w.id = p_worker AND w.ended_at IS NULL
      AND (NOT p_hears OR p_due >= now() OR p_token = ANY (w.named)))
$$;

CREATE OR REPLACE FUNCTION quire.has_lost_leases(p_hears boolean) RETURNS boolean
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM quire.job j
    WHERE j.state = 'leased' AND quire.is_lost(j.worker_id, j.token, j.due, p_hears));
END
$$;
