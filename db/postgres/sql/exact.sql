-- $1 a table, $2 names of columns. Whether all of them are of types in which equal values are equal bytes. A character column
-- without a length keeps blanks at its end and compares as if it had none.
SELECT coalesce(bool_and(
	a.atttypid = ANY ('{bool,int2,int4,int8,oid,uuid,bytea,date,time,timestamp,timestamptz,bit,varbit}'::regtype[])
	OR a.atttypid = ANY ('{numeric,bpchar}'::regtype[]) AND a.atttypmod <> -1 AND coalesce(c.collisdeterministic, true)
	OR a.atttypid = ANY ('{text,varchar,name}'::regtype[]) AND coalesce(c.collisdeterministic, true)
	OR t.typtype = 'e'), false)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped;
