-- $1 names of schemas. The application's own types there, and those that its columns use from elsewhere.
SELECT n.nspname, t.typname, t.typtype,
	array_to_json(ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)),
	CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END, NOT t.typnotnull,
	coalesce(t.typdefault, ''),
	coalesce((SELECT json_agg(json_build_object('name', k.conname, 'expression', pg_get_expr(k.conbin, 0), 'unproven', NOT k.convalidated) ORDER BY k.conname)
		FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '[]'),
	CASE t.typtype
		WHEN 'c' THEN (SELECT '(' || coalesce(string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum), '') || ')'
			FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
		WHEN 'r' THEN (SELECT 'RANGE (SUBTYPE = ' || format_type(r.rngsubtype, NULL) || ')' FROM pg_range r WHERE r.rngtypid = t.oid)
		ELSE '' END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'c', 'r') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^(pg_|whimbrel_(source|target)$)'
	AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
	AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
	AND (n.nspname = ANY ($1::text[]) OR EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		JOIN pg_namespace cn ON cn.oid = c.relnamespace WHERE a.atttypid IN (t.oid, t.typarray) AND c.relkind IN ('r', 'p')
			AND cn.nspname = ANY ($1::text[])))
ORDER BY t.typtype = 'e' DESC, t.oid;
