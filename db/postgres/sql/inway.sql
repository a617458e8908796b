-- $1 and $2 names of schemas: relations, types and routines of the first whose names are taken in the second.
SELECT c.relname::text FROM pg_class c JOIN pg_class o ON o.relname = c.relname
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND o.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2)
UNION SELECT t.typname FROM pg_type t JOIN pg_type o ON o.typname = t.typname
WHERE t.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND o.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2)
	AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
UNION SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'
FROM pg_proc p JOIN pg_proc o ON o.proname = p.proname AND o.proargtypes = p.proargtypes
WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND o.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2)
ORDER BY 1;
