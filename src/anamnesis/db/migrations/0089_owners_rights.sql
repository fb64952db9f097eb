-- What runs with the owner's rights looks for names where only the owner can put any. A search path that does not name
-- pg_temp searches it first: the application could lay a view of its own over legal_holds, and have the owner run what
-- the view calls. Where everybody may make functions in public, as before PostgreSQL 15, the same holds for operators.

ALTER FUNCTION purge_expired(integer, integer) SET search_path = public, pg_temp;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
