-- $1 a role, $2 the name of a schema, $3 tables, as quoted names in full. What the role, or one that it may take on, can reach or
-- has made in this database outside of that schema, a sentence's part each.
WITH RECURSIVE roles AS (SELECT oid, rolname, rolsuper, rolcreaterole, rolreplication FROM pg_roles WHERE pg_has_role($1, oid, 'MEMBER')),
tables AS (SELECT DISTINCT c.oid, c.relowner, c.relnamespace FROM unnest($3::text[]) AS w(name), LATERAL (SELECT to_regclass(w.name) AS id) AS r,
	LATERAL (SELECT r.id AS oid UNION SELECT relid FROM pg_partition_tree(r.id)) AS m JOIN pg_class c ON c.oid = m.oid
	JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> $2),
rules AS (SELECT d.refobjid AS table_id, v.oid FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
	JOIN pg_namespace n ON n.oid = v.relnamespace
	WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass AND v.relkind IN ('v', 'm') AND n.nspname <> $2),
shown AS (SELECT r.oid FROM tables t JOIN rules r ON r.table_id = t.oid UNION SELECT r.oid FROM shown s JOIN rules r ON r.table_id = s.oid),
drawn AS (SELECT DISTINCT s.oid FROM tables t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
	AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S')
SELECT what FROM (
SELECT 1 AS turn, 'everything: ' || CASE WHEN rolsuper THEN 'it is a superuser' WHEN rolcreaterole THEN 'it may make roles and give them rights'
	ELSE 'it may replicate the whole server' END || CASE WHEN rolname = $1 THEN '' ELSE ' as ' || rolname END AS what
FROM roles WHERE rolsuper OR rolcreaterole OR rolreplication
UNION SELECT 2, 'everything: it is a member of ' || rolname FROM roles
WHERE rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_read_all_data', 'pg_write_all_data')
UNION SELECT 3, 'rows of the table ' || t.oid::regclass FROM tables t, roles r WHERE NOT EXISTS (SELECT FROM roles WHERE rolsuper)
	AND (t.relowner = r.oid OR has_table_privilege(r.oid, t.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		OR has_any_column_privilege(r.oid, t.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
UNION SELECT 4, 'rows of the move''s tables through the view ' || v.oid::regclass FROM shown v, roles r WHERE NOT EXISTS (SELECT FROM roles WHERE rolsuper)
	AND (has_table_privilege(r.oid, v.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(r.oid, v.oid, 'SELECT, INSERT, UPDATE'))
UNION SELECT 5, 'the sequence ' || s.oid::regclass FROM drawn s, roles r WHERE NOT EXISTS (SELECT FROM roles WHERE rolsuper)
	AND has_sequence_privilege(r.oid, s.oid, 'USAGE, SELECT, UPDATE')
UNION SELECT 6, 'rows of the move''s tables through the routine ' || p.oid::regprocedure || ', which runs with the rights of ' || o.rolname
FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner JOIN pg_namespace n ON n.oid = p.pronamespace, roles r
WHERE p.prosecdef AND p.prorettype <> ALL ('{trigger,event_trigger}'::regtype[]) AND n.nspname NOT IN ($2, 'pg_catalog', 'information_schema')
	AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND NOT EXISTS (SELECT FROM roles WHERE rolsuper)
	AND EXISTS (SELECT FROM tables t WHERE has_table_privilege(o.oid, t.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION SELECT 7, 'the schema ' || n.nspname || ': it may make and drop objects there' FROM pg_namespace n, roles r
WHERE n.nspname <> $2 AND n.nspname !~ '^pg_(toast|temp|toast_temp_)' AND has_schema_privilege(r.oid, n.oid, 'CREATE') AND NOT EXISTS (SELECT FROM roles WHERE rolsuper)
UNION SELECT 8, 'the whole database: it may make schemas in it' FROM roles r
WHERE has_database_privilege(r.oid, current_database(), 'CREATE') AND NOT EXISTS (SELECT FROM roles WHERE rolsuper)
UNION SELECT 9, i.type || ' ' || i.identity || ', which it owns'
FROM pg_shdepend x, pg_identify_object(x.classid, x.objid, x.objsubid) AS i
WHERE x.refclassid = 'pg_authid'::regclass AND x.deptype = 'o' AND x.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
	AND x.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
	AND coalesce(i.schema, '') <> quote_ident($2) AND coalesce(i.schema, '') !~ '^pg_temp' AND i.identity IS NOT NULL
) AS found ORDER BY turn, what;
