-- $1 a table. Every unique index that is kept up, with what Apply needs to find the rows that would be in the way: its
-- expressions, its condition, whether its columns are plain, and whether it can decide an upsert.
SELECT i.indexrelid::regclass::text,
	array_to_json(ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) AS n)),
	array_to_json(ARRAY(SELECT a.attname FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(no, place)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.no ORDER BY k.place)),
	coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
	coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
	i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
FROM pg_index i
WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indislive
ORDER BY i.indexrelid;
