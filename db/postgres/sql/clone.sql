-- $1 tables, as quoted names in full: the name of each alone, and by what it is parted, empty where it is not.
SELECT c.relname, coalesce(pg_get_partkeydef(c.oid), '') FROM unnest($1::text[]) WITH ORDINALITY AS w(name, place)
JOIN pg_class c ON c.oid = w.name::regclass ORDER BY w.place;
