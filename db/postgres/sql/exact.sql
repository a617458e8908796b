-- $1 a table, $2 names of columns. Whether all of them are of types in which equal values are equal bytes.
SELECT coalesce(bool_and(
	a.atttypid = ANY ('{bool,int2,int4,int8,oid,uuid,bytea,date,time,timestamp,timestamptz,bit,varbit}'::regtype[])
	OR a.atttypid = 'numeric'::regtype AND a.atttypmod <> -1
	OR a.atttypid = ANY ('{text,varchar,bpchar,name}'::regtype[]) AND coalesce(c.collisdeterministic, true)
	OR t.typtype = 'e'), false)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped;
