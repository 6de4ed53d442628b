-- The job tables. docs/states.md draws how batches, documents, jobs and pages change their states.

CREATE TYPE quire.batch_state AS ENUM ('open', 'paused', 'cancelled');
CREATE TYPE quire.document_format AS ENUM ('pdf', 'tiff', 'png', 'jpeg');
CREATE TYPE quire.file_kind AS ENUM ('document', 'unreadable', 'ignored');
CREATE TYPE quire.job_state AS ENUM ('ready', 'leased', 'waiting');
CREATE TYPE quire.page_state AS ENUM ('done', 'blank', 'failed', 'quarantined');
CREATE TYPE quire.attempt_outcome AS ENUM ('done', 'partial', 'lost', 'released', 'cancelled');

-- Everything besides a page's pixels that decides its result.
CREATE TABLE quire.pipeline (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_digest text NOT NULL CHECK (model_digest <> ''),
  mode text NOT NULL,
  prompt text NOT NULL,
  max_new_tokens integer NOT NULL CHECK (max_new_tokens > 0),
  pdf_dpi integer NOT NULL CHECK (pdf_dpi > 0),
  engine_version text NOT NULL
);
-- By the prompt's digest, as an index entry cannot be longer than 2.7 kB.
CREATE UNIQUE INDEX pipeline_key
  ON quire.pipeline (model_digest, mode, md5(prompt), max_new_tokens, pdf_dpi, engine_version);

CREATE TABLE quire.batch (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name <> ''),
  state quire.batch_state NOT NULL DEFAULT 'open',
  priority integer NOT NULL DEFAULT 0,
  -- Share of the claims among batches of one priority.
  weight real NOT NULL DEFAULT 1 CHECK (weight > 0),
  -- A page fails for good at its max_attempts-th error, and is quarantined when its max_losses-th worker is lost.
  max_attempts smallint NOT NULL DEFAULT 3 CHECK (max_attempts > 0),
  max_losses smallint NOT NULL DEFAULT 3 CHECK (max_losses > 0),
  -- A page waits least(3600, retry_seconds * 4 ^ (errors - 1)) seconds, give or take a half, for its next attempt.
  retry_seconds real NOT NULL DEFAULT 5 CHECK (retry_seconds >= 0),
  source_root text NOT NULL,
  source_path bytea NOT NULL,
  pipeline_id integer NOT NULL REFERENCES quire.pipeline,
  -- False only where the batch has no job; then a claim need not look.
  has_jobs boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX batch_claimable ON quire.batch (pipeline_id) WHERE state = 'open' AND has_jobs;

-- A content, as one pipeline sees it. Copies and resubmissions share it, and with it its pages.
CREATE TABLE quire.document (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  pipeline_id integer NOT NULL REFERENCES quire.pipeline,
  format quire.document_format NOT NULL,
  page_count integer NOT NULL CHECK (page_count > 0),
  UNIQUE (sha256, pipeline_id)
);

-- A document's part in a batch. The counts are of settled pages, folded in from tally_delta.
CREATE TABLE quire.batch_document (
  batch_id bigint NOT NULL REFERENCES quire.batch,
  document_id bigint NOT NULL REFERENCES quire.document,
  page_count integer NOT NULL CHECK (page_count > 0),
  done integer NOT NULL DEFAULT 0,
  blank integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  quarantined integer NOT NULL DEFAULT 0,
  PRIMARY KEY (batch_id, document_id),
  CHECK (done >= 0 AND blank >= 0 AND failed >= 0 AND quarantined >= 0
    AND done + blank + failed + quarantined <= page_count)
) WITH (fillfactor = 70);
CREATE INDEX batch_document_document ON quire.batch_document (document_id);

-- Each file that was found below a batch's folder. Paths are bytes.
CREATE TABLE quire.batch_file (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch_id bigint NOT NULL REFERENCES quire.batch,
  root text NOT NULL,
  path bytea NOT NULL,
  size bigint NOT NULL,
  modified_ns bigint NOT NULL,
  kind quire.file_kind NOT NULL,
  document_id bigint,
  -- Why it is unreadable or ignored.
  reason text,
  CHECK ((kind = 'document') = (document_id IS NOT NULL)),
  CHECK ((kind = 'document') = (reason IS NULL)),
  FOREIGN KEY (batch_id, document_id) REFERENCES quire.batch_document
);
CREATE UNIQUE INDEX batch_file_location ON quire.batch_file (batch_id, root, sha256(path));
CREATE INDEX batch_file_document ON quire.batch_file (batch_id, document_id, id);

CREATE TABLE quire.worker (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  host text NOT NULL,
  boot_id text NOT NULL,
  pid integer NOT NULL,
  process_start_ticks bigint NOT NULL,
  device text NOT NULL,
  version text NOT NULL,
  model_digest text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  should_drain boolean NOT NULL DEFAULT false,
  -- When it left or was taken for dead; the row stays, as results name it.
  ended_at timestamptz
) WITH (fillfactor = 50);
CREATE INDEX worker_active ON quire.worker (id) WHERE ended_at IS NULL;

CREATE SEQUENCE quire.job_id;
CREATE SEQUENCE quire.lease_token;

-- The hot table: ranges of contiguous pages still to be done, deleted when they are. No foreign keys: each row is made
-- in a transaction that holds its batch or another job of it.
CREATE TABLE quire.job (
  batch_id bigint NOT NULL,
  id bigint NOT NULL DEFAULT nextval('quire.job_id'),
  document_id bigint NOT NULL,
  state quire.job_state NOT NULL DEFAULT 'ready',
  first_page integer NOT NULL CHECK (first_page > 0),
  n_pages smallint NOT NULL CHECK (n_pages BETWEEN 1 AND 16),
  attempt smallint NOT NULL DEFAULT 0,
  -- Workers lost with this range in hand.
  losses smallint NOT NULL DEFAULT 0,
  override_mode text,
  override_prompt text,
  -- Of the current lease:
  token bigint,
  worker_id bigint,
  started_at timestamptz,
  lease_seconds real,
  lease_first integer,
  lease_error text,
  -- Leased: when the lease ends unless pages are recorded. Waiting: when it becomes ready.
  due timestamptz,
  PRIMARY KEY (batch_id, id),
  CHECK ((state = 'leased') = (token IS NOT NULL AND worker_id IS NOT NULL AND started_at IS NOT NULL
    AND lease_seconds IS NOT NULL AND lease_first IS NOT NULL)),
  CHECK ((state = 'ready') = (due IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX job_ready ON quire.job (batch_id, id) WHERE state = 'ready';
CREATE INDEX job_leased ON quire.job (worker_id) WHERE state = 'leased';
CREATE INDEX job_waiting ON quire.job (due) WHERE state = 'waiting';
CREATE INDEX job_document ON quire.job (document_id);

-- How each page ended; a page without a row is still to be done. Only inserted into, but for retries.
CREATE TABLE quire.page (
  document_id bigint NOT NULL,
  page_no integer NOT NULL CHECK (page_no > 0),
  state quire.page_state NOT NULL,
  attempt smallint NOT NULL,
  token bigint NOT NULL,
  worker_id bigint,
  finished_at timestamptz NOT NULL DEFAULT now(),
  width integer,
  height integer,
  dpi double precision,
  render_seconds real,
  encode_seconds real,
  prefill_seconds real,
  decode_seconds real,
  prompt_tokens integer,
  output_tokens integer,
  reached_end boolean,
  -- What was used instead of the pipeline's own.
  mode text,
  prompt text,
  engine_version text NOT NULL,
  markdown text COMPRESSION lz4,
  layout text COMPRESSION lz4,
  raw_text text COMPRESSION lz4,
  error text,
  PRIMARY KEY (document_id, page_no),
  CHECK ((state IN ('failed', 'quarantined')) = (error IS NOT NULL)),
  CHECK ((state IN ('done', 'blank')) = (width IS NOT NULL AND height IS NOT NULL AND render_seconds IS NOT NULL)),
  CHECK ((state = 'done') = (markdown IS NOT NULL AND layout IS NOT NULL AND raw_text IS NOT NULL
    AND prompt_tokens IS NOT NULL AND output_tokens IS NOT NULL AND reached_end IS NOT NULL
    AND encode_seconds IS NOT NULL AND prefill_seconds IS NOT NULL AND decode_seconds IS NOT NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX page_problem ON quire.page (document_id) WHERE state IN ('failed', 'quarantined');

-- Results that a retry replaced.
CREATE TABLE quire.page_history (
  LIKE quire.page INCLUDING COMPRESSION,
  replaced_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX page_history_page ON quire.page_history (document_id, page_no);

-- Pictures cut out of pages. The token tells those of a replaced result from those of its successor.
CREATE TABLE quire.page_figure (
  document_id bigint NOT NULL,
  page_no integer NOT NULL,
  token bigint NOT NULL,
  name text NOT NULL,
  jpeg bytea NOT NULL,
  PRIMARY KEY (document_id, page_no, token, name)
);
-- JPEG does not compress.
ALTER TABLE quire.page_figure ALTER COLUMN jpeg SET STORAGE EXTERNAL;

-- The ledger: how each lease ended.
CREATE TABLE quire.attempt (
  token bigint PRIMARY KEY,
  batch_id bigint NOT NULL,
  document_id bigint NOT NULL,
  first_page integer NOT NULL,
  n_pages smallint NOT NULL,
  attempt smallint NOT NULL,
  worker_id bigint NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL DEFAULT now(),
  outcome quire.attempt_outcome NOT NULL,
  error text
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- A batch's counts as of the last fold.
CREATE TABLE quire.tally (
  batch_id bigint PRIMARY KEY REFERENCES quire.batch,
  documents bigint NOT NULL DEFAULT 0,
  complete bigint NOT NULL DEFAULT 0,
  with_failures bigint NOT NULL DEFAULT 0,
  unreadable bigint NOT NULL DEFAULT 0,
  ignored bigint NOT NULL DEFAULT 0,
  pages bigint NOT NULL DEFAULT 0,
  done bigint NOT NULL DEFAULT 0,
  blank bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0,
  CHECK (documents >= 0 AND complete >= 0 AND with_failures >= 0 AND complete + with_failures <= documents),
  CHECK (unreadable >= 0 AND ignored >= 0),
  CHECK (done >= 0 AND blank >= 0 AND failed >= 0 AND quarantined >= 0
    AND done + blank + failed + quarantined <= pages)
) WITH (fillfactor = 50);

-- Changes of the counts, appended so that no two transactions meet in one row.
CREATE TABLE quire.tally_delta (
  batch_id bigint NOT NULL,
  document_id bigint,
  at timestamptz NOT NULL DEFAULT now(),
  documents integer NOT NULL DEFAULT 0,
  unreadable integer NOT NULL DEFAULT 0,
  ignored integer NOT NULL DEFAULT 0,
  pages integer NOT NULL DEFAULT 0,
  done integer NOT NULL DEFAULT 0,
  blank integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  quarantined integer NOT NULL DEFAULT 0,
  -- Pages settled by work done now, for the throughput.
  worked integer NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Pages settled in each ten seconds; kept for an hour.
CREATE TABLE quire.throughput (
  batch_id bigint NOT NULL,
  bucket timestamptz NOT NULL,
  n integer NOT NULL,
  PRIMARY KEY (batch_id, bucket)
);
