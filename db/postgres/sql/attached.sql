-- $1 the name of a schema: triggers, rules and policies of its tables that are not ours, as contents.sql has objects.
SELECT o.class::oid::text, o.id::text, i.type, i.identity, false
FROM (SELECT 'pg_trigger'::regclass AS class, t.oid AS id FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND NOT t.tgisinternal AND NOT c.relispartition
		AND t.tgfoid NOT IN (SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname IN ('whimbrel_source', 'whimbrel_target'))
	UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
	WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND r.rulename <> '_RETURN'
	UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
	WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)) AS o,
	pg_identify_object(o.class, o.id, 0) AS i
ORDER BY 1, 2;
