-- Rights: who may read, who may work, who may submit. Only the role that migrates owns the schema and can change it.

-- Makes the group roles where this role may, and gives them their rights on all that the schema holds.
--
-- Returns the names of roles that an administrator has to make; with them there, it is called again by `quire migrate`,
-- as it is after each step of the schema. A step that adds a table which workers write replaces this function.
CREATE FUNCTION quire.grant_roles() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_role text;
  v_column text;
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
      -- Claim, record, heartbeat, keep house. Neither batches nor documents nor results can be taken away.
      GRANT INSERT ON quire.worker, quire.job, quire.page, quire.page_figure, quire.attempt, quire.tally_delta,
        quire.throughput TO quire_worker;
      GRANT UPDATE ON quire.worker, quire.job, quire.throughput, quire.tally TO quire_worker;
      GRANT DELETE ON quire.job, quire.tally_delta, quire.throughput TO quire_worker;
      GRANT UPDATE (done, blank, failed, quarantined) ON quire.batch_document TO quire_worker;
      FOR v_column IN
        SELECT attname FROM pg_attribute WHERE attrelid = 'quire.batch'::regclass
          AND attname IN ('has_jobs', 'first_ready')
      LOOP
        EXECUTE format('GRANT UPDATE (%I) ON quire.batch TO quire_worker', v_column);
      END LOOP;
    ELSE
      GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA quire TO quire_submitter;
      REVOKE INSERT, UPDATE, DELETE ON quire.schema_migration FROM quire_submitter;
      ALTER DEFAULT PRIVILEGES IN SCHEMA quire GRANT INSERT, UPDATE, DELETE ON TABLES TO quire_submitter;
    END IF;
  END LOOP;
  RETURN v_missing;
END
$$;

REVOKE ALL ON SCHEMA quire FROM PUBLIC;
SELECT quire.grant_roles();
