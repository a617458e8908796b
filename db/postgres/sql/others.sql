-- $1 names of schemas. What is there and is not carried: what it is, its name, and the table it belongs to.
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END, n.nspname, c.relname, '', ''
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('v', 'm', 'f') AND n.nspname = ANY ($1::text[])
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL SELECT 'extension table', n.nspname, c.relname, '', ''
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
	WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[])
UNION ALL SELECT CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'window function' END,
		n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', '', ''
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = ANY ($1::text[])
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'trigger', n.nspname, t.tgname, n.nspname, c.relname
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE NOT t.tgisinternal AND t.tgfoid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('whimbrel_source', 'whimbrel_target'))) AND n.nspname = ANY ($1::text[]) AND NOT c.relispartition
UNION ALL SELECT 'rule', n.nspname, r.rulename, n.nspname, c.relname
	FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE r.rulename <> '_RETURN' AND n.nspname = ANY ($1::text[])
UNION ALL SELECT 'policy', n.nspname, p.polname, n.nspname, c.relname
	FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = ANY ($1::text[])
UNION ALL SELECT CASE k.contype WHEN 'x' THEN 'exclusion constraint' ELSE 'constraint' END, n.nspname, k.conname, n.nspname, c.relname
	FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE (k.contype = 'x' OR coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)) AND n.nspname = ANY ($1::text[]) AND NOT c.relispartition
UNION ALL SELECT 'statistics', n.nspname, s.stxname, n.nspname, c.relname
	FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = s.stxnamespace
	WHERE n.nspname = ANY ($1::text[])
UNION ALL SELECT 'collation', n.nspname, o.collname, '', ''
	FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
	WHERE n.nspname = ANY ($1::text[]) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_collation'::regclass AND d.objid = o.oid AND d.deptype = 'e')
UNION ALL SELECT 'extension', '', e.extname, '', '' FROM pg_extension e WHERE e.extname <> 'plpgsql'
UNION ALL SELECT 'event trigger', '', e.evtname, '', '' FROM pg_event_trigger e
UNION ALL SELECT 'publication', '', p.pubname, '', '' FROM pg_publication p
ORDER BY 1, 2, 3;
