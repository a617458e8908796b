-- Everything of this database that a DROP … CASCADE must not take along by the way, as class, id and column: objects that have a
-- name of their own and, where $1 is true, columns of tables. What is part of another object, or a column's sequence, goes and stays with it.
SELECT d.classid::oid::text, d.objid::text, '0' FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.objsubid = 0 AND d.classid <> 'pg_default_acl'::regclass
	AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.objsubid = 0 AND (x.deptype IN ('e', 'i')
		OR x.deptype = 'a' AND x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass
			AND (SELECT relkind FROM pg_class WHERE oid = x.objid) = 'S'))
UNION SELECT 'pg_class'::regclass::oid::text, a.attrelid::text, a.attnum::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE $1::boolean AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND c.relnamespace NOT IN (
	SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast'));
