-- $1 a table, $2 names of columns, $3 a type for each, without its modifier. Whether they all are there with these types.
SELECT NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS w(name, type) LEFT JOIN pg_attribute a
	ON a.attrelid = $1::regclass AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
	WHERE a.atttypid IS DISTINCT FROM to_regtype(w.type)::oid)
