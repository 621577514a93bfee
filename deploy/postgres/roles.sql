-- One service's schema and roles; applied by `python -m deploy.prepare` and safe to repeat.
-- {service} stands for the service's name.  Passwords are set beside this, as SCRAM verifiers.
--
--   {service}_owner   owns the schema and everything in it; migrations run as it; cannot log in
--   {service}         the running service: rows of its own schema, no tables made or dropped
--   auditor           reads every schema; the platform-wide audit compares the books with it

DO $$
BEGIN
    CREATE ROLE {service}_owner NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE {service} LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE auditor LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

ALTER ROLE {service}_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
ALTER ROLE {service} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT;
ALTER ROLE {service} SET search_path = {service};
ALTER ROLE auditor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT;
ALTER ROLE auditor SET default_transaction_read_only = on;
GRANT {service}_owner TO CURRENT_USER;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}_owner;
REVOKE ALL ON SCHEMA {service} FROM PUBLIC;
GRANT USAGE ON SCHEMA {service} TO {service}, auditor;

ALTER DEFAULT PRIVILEGES FOR ROLE {service}_owner IN SCHEMA {service}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {service};
ALTER DEFAULT PRIVILEGES FOR ROLE {service}_owner IN SCHEMA {service}
    GRANT USAGE, SELECT ON SEQUENCES TO {service};
ALTER DEFAULT PRIVILEGES FOR ROLE {service}_owner IN SCHEMA {service}
    GRANT SELECT ON TABLES TO auditor;
