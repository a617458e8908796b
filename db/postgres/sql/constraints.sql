-- $1 names of schemas. Foreign keys and checks that are the table's own.
SELECT k.conrelid, k.conname, k.contype,
	array_to_json(ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS p(no, place)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.no ORDER BY p.place)),
	coalesce(fn.nspname, ''), coalesce(fc.relname, ''),
	array_to_json(ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS p(no, place)
		JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.no ORDER BY p.place)),
	k.confdeltype, k.confupdtype, k.confmatchtype = 'f', k.condeferrable, k.condeferred, NOT k.convalidated,
	coalesce(pg_get_expr(k.conbin, k.conrelid), '')
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class fc ON fc.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
WHERE k.contype IN ('f', 'c') AND n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	AND k.conparentid = 0
ORDER BY k.conrelid, k.conname;
