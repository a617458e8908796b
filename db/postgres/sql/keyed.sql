-- $1 tables, as quoted names in full. Their keys, checks and indexes, and their foreign keys to one another, in an order in which
-- they can be made: the table's place in the list, the quoted name, whether it is a constraint, the definition, with what it begins
-- before it names a table, that table's name as it stands there, empty where none is named, and that table's place.
WITH w AS (SELECT c.oid AS id, w.place - 1 AS place, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
	FROM unnest($1::text[]) WITH ORDINALITY AS w(name, place) JOIN pg_class c ON c.oid = w.name::regclass JOIN pg_namespace n ON n.oid = c.relnamespace)
SELECT w.place::text, quote_ident(k.conname), true, pg_get_constraintdef(k.oid), '', '', '0', 1 AS turn
FROM w JOIN pg_constraint k ON k.conrelid = w.id AND k.contype IN ('p', 'u', 'x', 'c')
UNION ALL SELECT w.place::text, quote_ident(i.relname), false, pg_get_indexdef(i.oid),
	'CREATE ' || CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(i.relname) || ' ON ' || CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END, w.name, w.place::text, 2
FROM w JOIN pg_index x ON x.indrelid = w.id AND x.indislive JOIN pg_class i ON i.oid = x.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL SELECT w.place::text, quote_ident(k.conname), true, pg_get_constraintdef(k.oid),
	'FOREIGN KEY (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.place) FROM unnest(k.conkey) WITH ORDINALITY AS o(no, place)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.no) || ') REFERENCES ', p.name, p.place::text, 3
FROM w JOIN pg_constraint k ON k.conrelid = w.id AND k.contype = 'f' JOIN w AS p ON p.id = k.confrelid
ORDER BY 8, 1, 2;
