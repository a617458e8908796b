-- $1 tables, as quoted names in full. Each sequence that a column's default or identity draws from: the table's place in the list,
-- the column, the sequence in full, its name alone, whether it is an identity's, whether it is owned by the column,
-- the default, its type, first, least and largest value, step, cache and whether it begins anew after its last value.
SELECT (w.place - 1)::text, a.attname, quote_ident(sn.nspname) || '.' || quote_ident(s.relname), s.relname,
	a.attidentity <> '', own.yes, coalesce(pg_get_expr(f.adbin, f.adrelid), ''), format_type(q.seqtypid, NULL),
	q.seqstart::text, q.seqmin::text, q.seqmax::text, q.seqincrement::text, q.seqcache::text, q.seqcycle
FROM unnest($1::text[]) WITH ORDINALITY AS w(name, place)
JOIN pg_attribute a ON a.attrelid = w.name::regclass AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_class s ON s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace sn ON sn.oid = s.relnamespace
CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.objsubid = 0
	AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')) AS yes) AS own
WHERE own.yes OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
	AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid)
ORDER BY w.place, a.attnum, 3;
