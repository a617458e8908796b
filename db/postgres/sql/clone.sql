-- $1 tables, as quoted names in full: the name of each alone, and whether it has partitions.
SELECT c.relname, c.relkind = 'p' FROM unnest($1::text[]) WITH ORDINALITY AS w(name, place) JOIN pg_class c ON c.oid = w.name::regclass
ORDER BY w.place;
