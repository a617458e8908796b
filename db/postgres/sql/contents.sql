-- $1 the name of a schema. Everything in it that has a name of its own: class and id in the catalog, what it is, its full name, and
-- whether it is part of another object (a range's multirange and functions). A column's sequence is left out, which goes where the
-- column's table goes, and so is what an extension owns.
SELECT o.class::oid::text, o.id::text, i.type, i.identity, o.part
FROM (SELECT DISTINCT d.classid AS class, d.objid AS id, EXISTS (SELECT FROM pg_depend x
		WHERE x.classid = d.classid AND x.objid = d.objid AND x.objsubid = 0 AND x.deptype = 'i') AS part
	FROM pg_depend d
	WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = $1)
		AND d.objsubid = 0 AND d.classid <> ALL ('{pg_default_acl,pg_namespace}'::regclass[])
		AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.objsubid = 0 AND (x.deptype = 'e'
			OR x.deptype IN ('a', 'i') AND x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass
				AND (SELECT relkind FROM pg_class WHERE oid = x.objid) = 'S'))) AS o,
	pg_identify_object(o.class, o.id, 0) AS i
ORDER BY o.part, o.class, o.id;
