-- $1 names of schemas. Columns of the tables, with the base type of a domain, the values of an enum, the default in the
-- server's words, and the sequence that a serial column owns.
WITH RECURSIVE base(oid, typbasetype, typtypmod, depth, root) AS (
	SELECT oid, typbasetype, typtypmod, 0, oid FROM pg_type WHERE typtype = 'd'
	UNION ALL SELECT t.oid, t.typbasetype, t.typtypmod, b.depth + 1, b.root FROM base b JOIN pg_type t ON t.oid = b.typbasetype
		WHERE t.typtype = 'd'),
domains AS (SELECT DISTINCT ON (root) root, typbasetype, typtypmod FROM base ORDER BY root, depth DESC)
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod),
	CASE WHEN t.typtype = 'd' THEN format_type(d.typbasetype, d.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END,
	CASE WHEN t.typtype IN ('d', 'e', 'c', 'r', 'm') AND tn.nspname <> 'pg_catalog' THEN tn.nspname ELSE '' END,
	CASE WHEN t.typtype IN ('d', 'e', 'c', 'r', 'm') AND tn.nspname <> 'pg_catalog' THEN t.typname ELSE '' END,
	array_to_json(ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)),
	NOT a.attnotnull AND NOT coalesce(t.typnotnull, false),
	coalesce(pg_get_expr(ad.adbin, ad.adrelid), ''), a.attidentity, a.attgenerated,
	coalesce(q.nspname, ''), coalesce(q.relname, ''), coalesce(q.seqstart, 0), coalesce(q.seqincrement, 0),
	coalesce(quote_ident(cn.nspname) || '.' || quote_ident(co.collname), ''), coalesce(co.collisdeterministic, true),
	a.attcollation <> t.typcollation, coalesce(col_description(a.attrelid, a.attnum), ''),
	t.typname = 'citext'
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN domains d ON d.root = t.oid
LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
LEFT JOIN LATERAL (SELECT sn.nspname, sc.relname, ps.seqstart, ps.seqincrement FROM pg_depend x
	JOIN pg_class sc ON sc.oid = x.objid AND sc.relkind = 'S' JOIN pg_namespace sn ON sn.oid = sc.relnamespace
	JOIN pg_sequence ps ON ps.seqrelid = sc.oid
	WHERE x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass AND x.refobjid = a.attrelid
		AND x.refobjsubid = a.attnum AND x.deptype IN ('a', 'i') LIMIT 1) AS q ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY ($1::text[])
	AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum;
