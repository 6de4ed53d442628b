-- What is wrong with a file or a machine is told apart from what is wrong with a content; leases live by their
-- heartbeats; the engine is told apart from the program; a retry keeps the old text; upkeep goes in small parts.

-- A batch that is being taken away; used from the next transaction on.
ALTER TYPE quire.batch_state ADD VALUE 'deleting';

-- The fault of one file, such as missing or changed: other files of the same content are tried first. `fault_count` says
-- how often in a row it was met; 0 where there is none.
ALTER TABLE quire.batch_file
  ADD COLUMN fault text,
  ADD COLUMN fault_at timestamptz,
  ADD COLUMN fault_count smallint NOT NULL DEFAULT 0,
  -- The time of the last change of its inode; NULL where the stamp cannot be trusted, which equals none.
  ADD COLUMN changed_ns bigint,
  -- Since when it is known to be no longer there.
  ADD COLUMN gone_at timestamptz,
  ADD CHECK ((fault IS NULL) = (fault_count = 0) AND (fault IS NULL) = (fault_at IS NULL));
-- From here claims take their file: the fewest faults first, then the newest.
DROP INDEX quire.batch_file_document;
CREATE INDEX batch_file_document ON quire.batch_file (batch_id, document_id, fault_count, id);

-- A machine's own trouble, in a sentence: it claims nothing until it is well again.
ALTER TABLE quire.worker
  ADD COLUMN unwell text,
  ADD COLUMN unwell_since timestamptz,
  -- What changes text; `version` is the program's.
  ADD COLUMN engine_version text,
  ADD COLUMN precision text,
  -- Inode of its PID namespace: process numbers mean nothing outside of it.
  ADD COLUMN pid_namespace bigint;
UPDATE quire.worker w SET engine_version = w.version,
  precision = coalesce(substring(w.device FROM ', (f32|bf16|int8)\)$'), 'bf16');

-- What weights are rounded to decides texts too. Pipelines of before have that of the workers that worked on them.
ALTER TABLE quire.pipeline ADD COLUMN precision text NOT NULL DEFAULT 'bf16' CHECK (precision <> '');
UPDATE quire.pipeline p SET precision = f.precision
FROM (
  SELECT DISTINCT ON (c.pipeline_id) c.pipeline_id, c.precision FROM (
    SELECT d.pipeline_id, w.precision, sum(a.n_pages) AS pages
    FROM quire.attempt a JOIN quire.document d ON d.id = a.document_id JOIN quire.worker w ON w.id = a.worker_id
    GROUP BY d.pipeline_id, w.precision) c
  ORDER BY c.pipeline_id, c.pages DESC, c.precision) f
WHERE p.id = f.pipeline_id;
DO $$
BEGIN
  -- Where the ledger has been pruned, the pages themselves tell.
  IF EXISTS (SELECT FROM quire.page) AND EXISTS (SELECT FROM quire.pipeline p WHERE NOT EXISTS (
    SELECT FROM quire.attempt a JOIN quire.document d ON d.id = a.document_id WHERE d.pipeline_id = p.id))
  THEN
    UPDATE quire.pipeline p SET precision = f.precision
    FROM (
      SELECT DISTINCT ON (c.pipeline_id) c.pipeline_id, c.precision FROM (
        SELECT d.pipeline_id, w.precision, count(*) AS pages
        FROM quire.page g JOIN quire.document d ON d.id = g.document_id JOIN quire.worker w ON w.id = g.worker_id
        GROUP BY d.pipeline_id, w.precision) c
      ORDER BY c.pipeline_id, c.pages DESC, c.precision) f
    WHERE p.id = f.pipeline_id AND NOT EXISTS (
      SELECT FROM quire.attempt a JOIN quire.document d ON d.id = a.document_id WHERE d.pipeline_id = p.id);
  END IF;
END
$$;
DROP INDEX quire.pipeline_key;
CREATE UNIQUE INDEX pipeline_key
  ON quire.pipeline (model_digest, mode, md5(prompt), max_new_tokens, pdf_dpi, engine_version, precision);

-- `engine_version` is what changes text, `program_version` the program that read the page. A page with a redo_token is
-- to be read again: it is shown and exported until its successor is there, yet neither tallied nor taken for settled.
-- Its successor comes from a lease with a greater token and with redo_mode and redo_prompt as its override.
ALTER TABLE quire.page
  ADD COLUMN program_version text,
  ADD COLUMN precision text,
  ADD COLUMN redo_token bigint,
  ADD COLUMN redo_mode text,
  ADD COLUMN redo_prompt text,
  -- Not looked at for the rows that are there: the columns are new.
  ADD CONSTRAINT page_redo CHECK (redo_token IS NOT NULL OR (redo_mode IS NULL AND redo_prompt IS NULL)) NOT VALID;
ALTER TABLE quire.page_history ADD COLUMN program_version text, ADD COLUMN precision text;

-- Results are final but for those that somebody asked for again: workers may replace no others.
CREATE FUNCTION quire.guard_page() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT has_table_privilege('quire.page', 'DELETE') THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to change a result that nobody asked for again';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON quire.page FOR EACH ROW WHEN (OLD.redo_token IS NULL)
  EXECUTE FUNCTION quire.guard_page();

-- Pages that no file leads to any more: their jobs wait for ever, and they count as settled.
ALTER TABLE quire.tally_delta ADD COLUMN stranded integer NOT NULL DEFAULT 0;
ALTER TABLE quire.batch_document ADD COLUMN stranded integer NOT NULL DEFAULT 0, DROP CONSTRAINT batch_document_check,
  ADD CONSTRAINT batch_document_check CHECK (
    done >= 0 AND blank >= 0 AND failed >= 0 AND quarantined >= 0 AND stranded >= 0
    AND done + blank + failed + quarantined + stranded <= page_count);
ALTER TABLE quire.tally ADD COLUMN stranded bigint NOT NULL DEFAULT 0,
  -- Why its changes cannot be folded in; they are left alone until somebody has repaired the counts.
  ADD COLUMN fold_error text,
  DROP CONSTRAINT tally_check2,
  ADD CONSTRAINT tally_check2 CHECK (
    done >= 0 AND blank >= 0 AND failed >= 0 AND quarantined >= 0 AND stranded >= 0
    AND done + blank + failed + quarantined + stranded <= pages);
CREATE INDEX tally_unfoldable ON quire.tally (batch_id) WHERE fold_error IS NOT NULL;
-- Nearly always empty, so that each record may look.
CREATE INDEX job_stranded ON quire.job (document_id, batch_id) WHERE state = 'waiting' AND due = 'infinity';
-- Without those, so that neither stands in for the other.
DROP INDEX quire.job_waiting;
CREATE INDEX job_waiting ON quire.job (due) WHERE state = 'waiting' AND due < 'infinity';

-- When a file that had so many faults in a row is tried again.
CREATE FUNCTION quire.file_due(p_at timestamptz, p_count smallint, p_retry_seconds real) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT p_at + least(3600, p_retry_seconds * power(4, least(p_count, 12) - 1)) * interval '1 second'
$$;

-- The file from which a document is best read, of this batch or of another one, and when: '-infinity' where it had no
-- fault. NULL where there is none. For the functions below, whose settings it goes by.
CREATE FUNCTION quire.next_file(
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
    WHERE d.document_id = p_document AND f.gone_at IS NULL AND f.fault_count < v_most
      AND (p_roots IS NULL OR f.root = ANY (p_roots)) AND f.batch_id <> ALL (p_excluded)) c
  ORDER BY c.due, c.batch_id <> p_batch, c.id DESC LIMIT 1;
END
$$;

-- Takes a lease off a job that nobody can read now: it waits until then, with no attempt counted.
CREATE FUNCTION quire.put_off(p_batch bigint, p_job bigint, p_due timestamptz) RETURNS void
LANGUAGE sql
AS $$
  UPDATE quire.job j SET state = 'waiting', due = p_due, attempt = j.attempt - 1, token = NULL, worker_id = NULL,
    started_at = NULL, lease_seconds = NULL, lease_first = NULL, lease_error = NULL, claim_key = NULL
  WHERE j.batch_id = p_batch AND j.id = p_job AND j.state = 'leased'
$$;

-- Settles a leased job to which no file leads: pages that have a result are counted, the others are stranded. Returns
-- whether any is; not where a file has turned up meanwhile.
--
-- Submissions hold the first lock shared and records the second, and both then free what is stranded: with both locks
-- in hand, what they have done is seen here, or what is done here will be seen there. Nothing is waited for, as the
-- job is locked.
CREATE FUNCTION quire.strand(p_batch bigint, p_job bigint) RETURNS boolean
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
    count(*) FILTER (WHERE p.state = 'quarantined')
  INTO v_missing, v_done, v_blank, v_failed, v_quarantined
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
  INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, stranded)
  VALUES (p_batch, v_job.document_id, v_done, v_blank, v_failed, v_quarantined, v_missing);
  RETURN v_missing > 0;
END
$$;

-- Makes all stranded jobs of these documents ready, in all batches; returns how many pages they have.
--
-- Whoever holds one of them just frees it, or takes it away.
CREATE FUNCTION quire.free_stranded(p_documents bigint[]) RETURNS bigint
LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
  WITH stranded AS MATERIALIZED (
    SELECT j.batch_id, j.id, j.document_id, j.n_pages FROM unnest(p_documents) d(id)
    CROSS JOIN LATERAL (
      SELECT j.batch_id, j.id, j.document_id, j.n_pages FROM quire.job j
      WHERE j.document_id = d.id AND j.state = 'waiting' AND j.due = 'infinity' FOR UPDATE SKIP LOCKED) j),
  freed AS (
    UPDATE quire.job j SET state = 'ready', due = NULL, id = nextval('quire.job_id')
    FROM stranded s WHERE j.batch_id = s.batch_id AND j.id = s.id),
  counted AS (
    INSERT INTO quire.tally_delta (batch_id, document_id, stranded)
    SELECT s.batch_id, s.document_id, -sum(s.n_pages) FROM stranded s GROUP BY s.batch_id, s.document_id)
  SELECT coalesce(sum(s.n_pages), 0)::bigint FROM stranded s
$$;

DROP FUNCTION quire.claim(bigint, text, text[], double precision, bigint, boolean);

-- Leases the next range of pages to a worker; no row if there is none for it now.
--
-- The highest priority first, and among equals by weighted lottery; within a batch the lowest number that nobody else is
-- just taking. Batches in p_excluded are left out, with their files: the worker cannot see their folders. `recorded` has
-- bit n set where another batch has recorded the page first_page + n meanwhile. `must_be_alone` tells of a page that is
-- given up if its worker is lost once more: the worker reads it with nothing else in hand.
--
-- The file is one without a fault of the batch, the newest; else one of another batch; else the first that is due again.
-- A range for which there is none is put off or stranded, and the next one is tried: nothing stays leased that is not
-- returned.
CREATE FUNCTION quire.claim(
  p_worker bigint, p_model_digest text, p_roots text[], p_lease_seconds double precision, p_key bigint,
  p_is_repeated boolean, p_excluded bigint[] DEFAULT '{}')
RETURNS TABLE (
  batch_id bigint, job_id bigint, token bigint, document_id bigint, sha256 bytea, format quire.document_format,
  root text, path bytea, size bigint, modified_ns bigint, first_page integer, n_pages smallint, attempt smallint,
  model_digest text, mode text, prompt text, max_new_tokens integer, pdf_dpi integer, engine_version text,
  max_attempts smallint, retry_seconds real, recorded integer, must_be_alone boolean, weights text, changed_ns bigint,
  file_id bigint, file_faults smallint, page_count integer)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_batch bigint;
  v_job bigint;
  v_document bigint;
  v_file bigint;
  v_due timestamptz;
BEGIN
  -- Its commit waits for the disk, as it does for what is recorded: a crash that undid claims would waste the work on
  -- all ranges in hand, and could give a token out twice.
  IF p_is_repeated THEN
    SELECT j.batch_id, j.id, j.document_id INTO v_batch, v_job, v_document
    FROM quire.job j WHERE j.worker_id = p_worker AND j.state = 'leased' AND j.claim_key = p_key LIMIT 1;
  END IF;
  FOR v_try IN 1..30 LOOP
    -- Ready jobs before the hint, which have come back since, are looked for where there are none behind it.
    FOR v_round IN 1..2 LOOP
      EXIT WHEN v_job IS NOT NULL;
      WITH batches AS MATERIALIZED (
        SELECT b.id, CASE v_round WHEN 1 THEN b.first_ready ELSE 0 END AS first_ready
        FROM quire.batch b JOIN quire.pipeline p ON p.id = b.pipeline_id
        WHERE b.state = 'open' AND b.has_jobs AND p.model_digest = p_model_digest
          AND (v_round = 1 OR b.first_ready > 0)
          AND (p_roots IS NULL OR b.source_root = ANY (p_roots)) AND b.id <> ALL (p_excluded)
          AND EXISTS (SELECT FROM quire.worker w WHERE w.id = p_worker AND w.ended_at IS NULL AND NOT w.should_drain
            AND coalesce(w.engine_version, w.version) = p.engine_version AND coalesce(w.precision, 'bf16') = p.precision)
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
      RETURNING j.batch_id, j.id, j.document_id INTO v_batch, v_job, v_document;
    END LOOP;
    IF v_job IS NULL THEN RETURN; END IF;
    SELECT f.id INTO v_file FROM quire.batch_file f
    WHERE f.batch_id = v_batch AND f.document_id = v_document AND f.fault_count = 0 AND f.gone_at IS NULL
    ORDER BY f.id DESC LIMIT 1;
    EXIT WHEN v_file IS NOT NULL;
    SELECT n.file_id, n.due INTO v_file, v_due FROM quire.next_file(v_batch, v_document, p_roots, p_excluded) n;
    EXIT WHEN v_due <= now();
    IF v_file IS NOT NULL THEN
      PERFORM quire.put_off(v_batch, v_job, v_due);
    ELSE
      SELECT n.file_id, n.due INTO v_file, v_due FROM quire.next_file(v_batch, v_document, NULL, '{}') n;
      IF v_file IS NULL THEN
        PERFORM quire.strand(v_batch, v_job);
      ELSE
        -- Other workers may reach it.
        PERFORM quire.put_off(v_batch, v_job, greatest(v_due, now() + (15 + 30 * random()) * interval '1 second'));
      END IF;
    END IF;
    v_file := NULL;
    v_job := NULL;
  END LOOP;
  IF v_file IS NULL THEN RETURN; END IF;
  RETURN QUERY
    SELECT j.batch_id, j.id, j.token, j.document_id, d.sha256, d.format, f.root, f.path, f.size, f.modified_ns,
      j.first_page, j.n_pages, j.attempt, p.model_digest, coalesce(j.override_mode, p.mode),
      coalesce(j.override_prompt, p.prompt), p.max_new_tokens, p.pdf_dpi, p.engine_version, b.max_attempts,
      b.retry_seconds, r.recorded, j.n_pages = 1 AND j.losses > 0 AND j.losses + 1 >= b.max_losses, p.precision,
      f.changed_ns, f.id, f.fault_count, d.page_count
    FROM quire.job j
    JOIN quire.batch b ON b.id = j.batch_id
    JOIN quire.document d ON d.id = j.document_id
    JOIN quire.pipeline p ON p.id = d.pipeline_id
    JOIN quire.batch_file f ON f.id = v_file
    CROSS JOIN LATERAL (
      SELECT coalesce(bit_or(1 << (p.page_no - j.first_page)), 0) AS recorded FROM quire.page p
      WHERE p.document_id = j.document_id AND p.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1
        AND p.redo_token IS NULL) r
    WHERE j.batch_id = v_batch AND j.id = v_job;
  IF NOT FOUND THEN PERFORM quire.put_off(v_batch, v_job, now() + interval '30 seconds'); END IF;
END
$$;

-- Notes that the file of a lease cannot be read, and gives the lease back with no attempt counted: `next` where another
-- file is there at once, `waits` where one will be tried again later, `stranded` where none is left; `lost` where the
-- lease was taken away.
--
-- Many leases meet the fault of one file at the same time: it counts once for those that began before it was known.
CREATE FUNCTION quire.fault_file(
  p_worker bigint, p_batch bigint, p_job bigint, p_token bigint, p_file bigint, p_reason text, OUT verdict text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_job quire.job;
  v_file bigint;
  v_due timestamptz;
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
      fault_count = least(f.fault_count + 1, 1000)
    WHERE f.id = p_file AND f.document_id = v_job.document_id
      AND (f.fault_at IS NULL OR f.fault_at < v_job.started_at);
  END IF;
  INSERT INTO quire.attempt
    (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at, outcome, error)
  VALUES (p_token, p_batch, v_job.document_id, v_job.lease_first, v_job.first_page + v_job.n_pages - v_job.lease_first,
    v_job.attempt, p_worker, v_job.started_at, 'released', p_reason);
  SELECT n.file_id, n.due INTO v_file, v_due FROM quire.next_file(p_batch, v_job.document_id, NULL, '{}') n;
  IF v_file IS NULL THEN
    verdict := CASE WHEN quire.strand(p_batch, p_job) THEN 'stranded' ELSE 'waits' END;
  ELSIF v_due > now() THEN
    PERFORM quire.put_off(p_batch, p_job, v_due);
    verdict := 'waits';
  ELSE
    UPDATE quire.job j SET state = 'ready', due = NULL, attempt = j.attempt - 1, token = NULL, worker_id = NULL,
      started_at = NULL, lease_seconds = NULL, lease_first = NULL, lease_error = NULL, claim_key = NULL
    WHERE j.batch_id = p_batch AND j.id = p_job;
    verdict := 'next';
  END IF;
END
$$;

-- Tells that a worker lives, and how it is. One row for each of p_tokens that it holds no longer, and one with a NULL
-- instead; none where the worker is not known.
--
-- What it holds is renewed where less than half of the time is left. What is leased to it, was claimed before its last
-- heartbeat but this one, and is neither in p_tokens nor of a claim under way (p_keys) goes back with no attempt counted:
-- the answer to the claim was lost, or the worker has forgotten it.
CREATE FUNCTION quire.heartbeat(p_worker bigint, p_tokens bigint[], p_keys bigint[], p_unwell text)
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
  UPDATE quire.worker w SET seen_at = now(), unwell = p_unwell,
    unwell_since = CASE WHEN p_unwell IS NOT NULL THEN coalesce(w.unwell_since, now()) END
  WHERE w.id = p_worker;
  -- What is locked is just being recorded or given back.
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

DROP FUNCTION quire.record(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint[],
  double precision[], text, text, bigint[], text[], bigint[], bigint[], double precision[], double precision[],
  double precision[], double precision[], double precision[], bigint[], bigint[], boolean[], text[], text[], text[],
  text[], bigint[], text[], bytea[]);

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
CREATE FUNCTION quire.record(
  p_worker bigint, p_batch bigint, p_job bigint, p_token bigint, p_document bigint, p_lease_first bigint,
  p_lease_last bigint, p_first bigint, p_count bigint, p_postponed bigint[], p_seconds double precision[], p_error text,
  p_version text, p_pages bigint[], p_states text[], p_widths bigint[], p_heights bigint[], p_dpi double precision[],
  p_render double precision[], p_encode double precision[], p_prefill double precision[], p_decode double precision[],
  p_prompt_tokens bigint[], p_output_tokens bigint[], p_reached_end boolean[], p_markdown text[], p_layout text[],
  p_raw_text text[], p_errors text[], p_figure_pages bigint[], p_figure_names text[], p_figure_jpegs bytea[],
  p_program text DEFAULT NULL, p_precision text DEFAULT NULL, p_file bigint DEFAULT NULL,
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
        prompt_tokens, output_tokens, reached_end, markdown, layout, raw_text, error)
      SELECT p_document, r.page_no, r.state::quire.page_state, v_job.attempt, p_token, p_worker, v_mode, v_prompt,
        p_version, p_program, p_precision, r.width, r.height, r.dpi, r.render, r.encode, r.prefill, r.decode,
        r.prompt_tokens, r.output_tokens, r.reached_end, r.markdown, r.layout, r.raw_text, r.error
      FROM unnest(p_pages, p_states, p_widths, p_heights, p_dpi, p_render, p_encode, p_prefill, p_decode,
        p_prompt_tokens, p_output_tokens, p_reached_end, p_markdown, p_layout, p_raw_text, p_errors)
        r(page_no, state, width, height, dpi, render, encode, prefill, decode, prompt_tokens, output_tokens,
        reached_end, markdown, layout, raw_text, error)
      WHERE r.page_no BETWEEN p_first AND v_last
      ON CONFLICT DO NOTHING RETURNING state)
    SELECT count(*) FILTER (WHERE s.state = 'done'), count(*) FILTER (WHERE s.state = 'blank'),
      count(*) FILTER (WHERE s.state = 'failed')
    INTO v_done, v_blank, v_failed FROM stored s;

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
          markdown = r.markdown, layout = r.layout, raw_text = r.raw_text, error = r.error
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
        SELECT n AS page_no, CASE WHEN p.redo_token IS NULL THEN p.state END AS state, p.redo_mode, p.redo_prompt
        FROM generate_series(p_first, v_last) n
        LEFT JOIN quire.page p ON p.document_id = p_document AND p.page_no = n
        WHERE n <> ALL (p_postponed)),
      again AS (
        INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
        SELECT p_batch, p_document, s.page_no, 1, s.redo_mode, s.redo_prompt FROM settled s WHERE s.state IS NULL)
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

-- Puts what these pages hold into the history, where they are still to be read again.
CREATE FUNCTION quire.keep_history(p_document bigint, p_pages bigint[]) RETURNS void
LANGUAGE sql
AS $$
  INSERT INTO quire.page_history (document_id, page_no, state, attempt, token, worker_id, finished_at, width, height, dpi,
    render_seconds, encode_seconds, prefill_seconds, decode_seconds, prompt_tokens, output_tokens, reached_end, mode,
    prompt, engine_version, markdown, layout, raw_text, error, program_version, precision)
  SELECT p.document_id, p.page_no, p.state, p.attempt, p.token, p.worker_id, p.finished_at, p.width, p.height, p.dpi,
    p.render_seconds, p.encode_seconds, p.prefill_seconds, p.decode_seconds, p.prompt_tokens, p.output_tokens,
    p.reached_end, p.mode, p.prompt, p.engine_version, p.markdown, p.layout, p.raw_text, p.error, p.program_version,
    p.precision
  FROM quire.page p
  WHERE p.document_id = p_document AND p.page_no = ANY (p_pages) AND p.redo_token IS NOT NULL
$$;

-- Gives a page up that workers were lost on: takes its job, which is locked, out of the queue and says why.
CREATE FUNCTION quire.quarantine(p_batch bigint, p_job bigint, p_engine text, p_program text, p_reason text)
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
    INSERT INTO quire.tally_delta (batch_id, document_id, done, blank, failed, quarantined, worked)
    VALUES (p_batch, v_job.document_id, (v_page.state = 'done')::int, (v_page.state = 'blank')::int,
      (v_page.state = 'failed')::int, (v_page.state = 'quarantined')::int, 1);
  ELSE
    INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode, override_prompt)
    VALUES (p_batch, v_job.document_id, v_job.first_page, 1, v_page.redo_mode, v_page.redo_prompt);
  END IF;
END
$$;

-- Moves these rows of tally_delta into the counts that status reads; the caller has the turn at it.
--
-- The work is by the number of rows, however many documents and batches there are.
CREATE FUNCTION quire.fold_rows(p_rows tid[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  WITH taken AS (DELETE FROM quire.tally_delta d WHERE d.ctid = ANY (p_rows) RETURNING *),
  by_document AS (
    SELECT batch_id, document_id, sum(done)::int AS done, sum(blank)::int AS blank, sum(failed)::int AS failed,
      sum(quarantined)::int AS quarantined, sum(stranded)::int AS stranded
    FROM taken WHERE document_id IS NOT NULL GROUP BY batch_id, document_id),
  moved AS (
    UPDATE quire.batch_document b SET done = b.done + d.done, blank = b.blank + d.blank,
      failed = b.failed + d.failed, quarantined = b.quarantined + d.quarantined, stranded = b.stranded + d.stranded
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
      sum(quarantined) AS quarantined, sum(stranded) AS stranded
    FROM taken GROUP BY batch_id)
  UPDATE quire.tally t SET documents = t.documents + b.documents, unreadable = t.unreadable + b.unreadable,
    ignored = t.ignored + b.ignored, pages = t.pages + b.pages, done = t.done + b.done, blank = t.blank + b.blank,
    failed = t.failed + b.failed, quarantined = t.quarantined + b.quarantined, stranded = t.stranded + b.stranded,
    complete = t.complete + coalesce(d.complete, 0), with_failures = t.with_failures + coalesce(d.with_failures, 0)
  FROM by_batch b LEFT JOIN documents d ON d.batch_id = b.batch_id WHERE t.batch_id = b.batch_id;
END
$$;

DROP FUNCTION quire.fold_tallies();

-- Folds the oldest p_most rows of tally_delta (NULL: all), of one batch or of all; the caller has the turn at it.
-- Returns how many.
--
-- A batch whose changes break what must hold of counts is named in its tally and left alone from then on; asked for by
-- itself, it is an error.
CREATE FUNCTION quire.fold_tallies(p_batch bigint DEFAULT NULL, p_most bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_broken bigint[] := ARRAY(SELECT t.batch_id FROM quire.tally t WHERE t.fold_error IS NOT NULL);
  v_rows tid[];
  v_part record;
BEGIN
  IF p_batch IS NOT NULL THEN
    v_rows := ARRAY(SELECT d.ctid FROM quire.tally_delta d WHERE d.batch_id = p_batch ORDER BY d.at LIMIT p_most);
    PERFORM quire.fold_rows(v_rows);
    RETURN cardinality(v_rows);
  END IF;
  v_rows := ARRAY(
    SELECT d.ctid FROM quire.tally_delta d WHERE d.batch_id <> ALL (v_broken) ORDER BY d.at LIMIT p_most);
  BEGIN
    PERFORM quire.fold_rows(v_rows);
  EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
    FOR v_part IN
      SELECT d.batch_id, array_agg(d.ctid) AS rows FROM quire.tally_delta d WHERE d.ctid = ANY (v_rows)
      GROUP BY d.batch_id
    LOOP
      BEGIN
        PERFORM quire.fold_rows(v_part.rows);
      EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
        BEGIN
          -- A part may begin with what is taken away again: more of them together may be right.
          PERFORM quire.fold_rows(ARRAY(
            SELECT d.ctid FROM quire.tally_delta d WHERE d.batch_id = v_part.batch_id ORDER BY d.at
            LIMIT 10 * p_most));
        EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
          UPDATE quire.tally t SET fold_error = SQLERRM WHERE t.batch_id = v_part.batch_id;
        END;
      END;
    END LOOP;
  END;
  RETURN cardinality(v_rows);
END
$$;

DROP FUNCTION quire.try_fold(bigint);

-- Folds up to p_most changes unless somebody else has the turn (p_turn is the key of its advisory lock): NULL then, else
-- how many.
CREATE FUNCTION quire.try_fold(p_turn bigint, p_most bigint DEFAULT 20000) RETURNS bigint
LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_turn) THEN RETURN NULL; END IF;
  -- Counts whose fold a crash undoes are folded again.
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN quire.fold_tallies(NULL, p_most);
END
$$;

DROP FUNCTION quire.progress(bigint);

-- The counts of one batch or of all, exact as of now: those that are folded, and the deltas of the last second or so on
-- top. Writes nothing and waits for nobody; `deltas` says how many there were.
CREATE FUNCTION quire.progress(p_batch bigint)
RETURNS TABLE (
  batch_id bigint, documents bigint, complete bigint, with_failures bigint, unreadable bigint, ignored bigint,
  pages bigint, done bigint, blank bigint, failed bigint, quarantined bigint, leased bigint,
  per_minute double precision, is_current boolean, deltas bigint, stranded bigint, fold_error text)
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
      sum(quarantined) AS quarantined, sum(stranded) AS stranded, count(*) AS deltas
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
    t.fold_error
  FROM quire.tally t
  LEFT JOIN by_batch d ON d.batch_id = t.batch_id
  LEFT JOIN by_state s ON s.batch_id = t.batch_id
  LEFT JOIN by_lease l ON l.batch_id = t.batch_id
  LEFT JOIN rate r ON r.batch_id = t.batch_id
  WHERE p_batch IS NULL OR t.batch_id = p_batch;
END
$$;

-- Upkeep: each part is a transaction of its own, so that one that fails or takes long holds up no other. A crash that
-- undoes it leaves it to be done again, so it does not wait for the disk.

-- Ends workers that have been silent for so long (NULL: nobody). Returns false where somebody else has the turn (p_turn
-- is the key of its advisory lock).
CREATE FUNCTION quire.end_silent(p_turn bigint, p_silence_seconds double precision) RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_turn) THEN RETURN false; END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE quire.worker w SET ended_at = now()
  WHERE w.ended_at IS NULL AND w.seen_at < now() - p_silence_seconds * interval '1 second';
  RETURN true;
END
$$;

-- Makes up to 1,000 jobs ready that are due.
CREATE FUNCTION quire.free_due() RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  WITH due AS MATERIALIZED (
    SELECT j.batch_id, j.id FROM quire.job j WHERE j.state = 'waiting' AND j.due < 'infinity' AND j.due <= now()
    ORDER BY j.due LIMIT 1000 FOR UPDATE SKIP LOCKED)
  UPDATE quire.job j SET state = 'ready', due = NULL, id = nextval('quire.job_id')
  FROM due d WHERE j.batch_id = d.batch_id AND j.id = d.id;
END
$$;

-- Notes where claims begin and which batches have no job left, and forgets old throughput; unless somebody else has the
-- turn.
CREATE FUNCTION quire.note_batches(p_turn bigint) RETURNS void
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
  IF NOT pg_try_advisory_xact_lock(p_turn) THEN RETURN; END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
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
END
$$;

-- Whether leases are to be taken back: those of workers that have ended, and with p_hears those that are overdue.
CREATE FUNCTION quire.has_lost_leases(p_hears boolean) RETURNS boolean
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM quire.job j WHERE j.state = 'leased' AND ((p_hears AND j.due < now()) OR NOT EXISTS (
      SELECT FROM quire.worker w WHERE w.id = j.worker_id AND w.ended_at IS NULL)));
END
$$;

-- All of it, as programs before this step call it.
CREATE OR REPLACE FUNCTION quire.keep_house(p_turn bigint, p_silence_seconds double precision) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT quire.end_silent(p_turn, p_silence_seconds) THEN RETURN NULL; END IF;
  PERFORM quire.free_due();
  PERFORM quire.fold_tallies(NULL, 20000);
  PERFORM quire.note_batches(p_turn);
  RETURN quire.has_lost_leases(p_silence_seconds IS NOT NULL);
END
$$;

-- The reasons of the latest p_most pages, p_most files that could not be read, and files of p_most stranded ranges, the
-- most frequent first, each with how many there are and its latest example.
--
-- Reasons that differ only in numbers are one. The work is by the number of batches and p_most, whatever the sizes of
-- the tables; for one batch, later problems of other batches are stepped over.
CREATE OR REPLACE FUNCTION quire.problem_groups(p_batch bigint, p_most bigint, p_groups bigint)
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
      WHERE f.batch_id = t.batch_id AND f.kind = 'unreadable' AND f.gone_at IS NULL
      ORDER BY f.id DESC LIMIT p_most) f
    WHERE p_batch IS NULL OR t.batch_id = p_batch LIMIT p_most),
  stranded AS MATERIALIZED (
    SELECT j.batch_id, j.document_id FROM quire.job j
    WHERE j.state = 'waiting' AND j.due = 'infinity' AND (p_batch IS NULL OR j.batch_id = p_batch) LIMIT p_most),
  faults AS (
    SELECT f.id AS file_id, left(coalesce(f.fault, 'The file is no longer in its folder: submit the folder again.'), 300)
      AS reason
    FROM (SELECT DISTINCT s.batch_id, s.document_id FROM stranded s) s
    CROSS JOIN LATERAL (
      SELECT f.id, f.fault FROM quire.batch_file f WHERE f.batch_id = s.batch_id AND f.document_id = s.document_id
      ORDER BY f.fault_count DESC, f.id DESC LIMIT 1) f),
  problems AS (
    SELECT p.reason, p.document_id, p.page_no, p.finished_at, NULL::bigint AS file_id FROM pages p
    UNION ALL
    SELECT f.reason, NULL, NULL, NULL, f.file_id FROM files f
    UNION ALL
    SELECT f.reason, NULL, NULL, NULL, f.file_id FROM faults f),
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

-- Of each open batch with jobs: its root, whether a job is ready, and if none is, when the first waiting one will be, but
-- for those that wait for ever.
CREATE OR REPLACE FUNCTION quire.batch_waits(p_batch bigint)
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
      SELECT j.due FROM quire.job j WHERE j.state = 'waiting' AND j.due < 'infinity' AND j.batch_id = b.id ORDER BY j.due LIMIT 1) END
  FROM quire.batch b
  -- From where claims begin: before it stand the entries of jobs that are taken.
  CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready' AND j.id >= b.first_ready)
      OR EXISTS (SELECT FROM quire.job j WHERE j.batch_id = b.id AND j.state = 'ready') AS has_ready) r
  WHERE b.state = 'open' AND b.has_jobs AND (p_batch IS NULL OR b.id = p_batch);
END
$$;

-- Makes the group roles where this role may, and gives them their rights on all that the schema holds.
--
-- Returns the names of roles that an administrator has to make; with them there, it is called again by `quire migrate`,
-- as it is after each step of the schema. A step that adds a table which workers write replaces this function.
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
      GRANT UPDATE (done, blank, failed, quarantined, stranded) ON quire.batch_document TO quire_worker;
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
