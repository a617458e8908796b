-- $1 a table. Every unique index that is kept up, with what Apply needs to find the rows that would be in the way: its
-- expressions (a column with the index's collation where that is another than its own), its condition, whether its columns
-- are plain, whether it can decide an upsert, and the operator by which it holds two values of a part equal, which is the
-- one that a search can use it with, if it is fit for searches at all.
SELECT i.indexrelid::regclass::text,
	array_to_json(ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) || coalesce((
			SELECT ' COLLATE ' || quote_ident(s.nspname) || '.' || quote_ident(c.collname)
			FROM pg_attribute a, pg_collation c JOIN pg_namespace s ON s.oid = c.collnamespace
			WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1] AND c.oid = i.indcollation[n - 1] AND c.oid <> a.attcollation), '')
		FROM generate_series(1, i.indnkeyatts) AS n)),
	array_to_json(ARRAY(SELECT a.attname FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(no, place)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.no ORDER BY k.place)),
	coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
	coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
	i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL,
	array_to_json(ARRAY(SELECT 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')'
		FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS p(class, place) JOIN pg_opclass c ON c.oid = p.class
		JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3
		JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY p.place)),
	i.indisvalid
FROM pg_index i
WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indislive
ORDER BY i.indexrelid;
