-- $1 names of schemas. Indexes with their parts as JSON; a part is a column or an expression.
SELECT i.indrelid, ic.relname, i.indisprimary, i.indisunique, am.amname,
	coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
	coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
	k.oid IS NOT NULL, coalesce(k.condeferrable, false), coalesce(k.contype, ''),
	pg_get_indexdef(i.indexrelid),
	(SELECT json_agg(json_build_object(
		'column', coalesce(a.attname, ''),
		'expression', CASE WHEN a.attname IS NULL THEN pg_get_indexdef(i.indexrelid, p.place::integer, true) ELSE '' END,
		'descending', (i.indoption[p.place - 1] & 1) = 1,
		'nulls', (i.indoption[p.place - 1] & 2) = 2,
		'collation', CASE WHEN i.indcollation[p.place - 1] <> coalesce(a.attcollation, 0) AND co.oid IS NOT NULL
			AND (a.attname IS NOT NULL OR co.collname <> 'default') THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) ELSE '' END,
		'opclass', CASE WHEN oc.opcdefault THEN '' ELSE quote_ident(onsp.nspname) || '.' || quote_ident(oc.opcname) END) ORDER BY p.place)
		FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(no, place)
		LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = p.no AND p.no > 0
		LEFT JOIN pg_collation co ON co.oid = i.indcollation[p.place - 1] LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
		LEFT JOIN pg_opclass oc ON oc.oid = i.indclass[p.place - 1] LEFT JOIN pg_namespace onsp ON onsp.oid = oc.opcnamespace
		WHERE p.place <= i.indnkeyatts),
	array_to_json(ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(no, place)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = p.no WHERE p.place > i.indnkeyatts ORDER BY p.place))
FROM pg_index i
JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND i.indislive
ORDER BY i.indrelid, ic.relname;
