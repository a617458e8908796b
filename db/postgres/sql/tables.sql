-- $1 names of schemas. Base tables and roots of partitioned tables; not partitions, and nothing that an extension owns.
SELECT n.nspname, c.relname, c.relkind = 'p', c.relpersistence = 'u', c.relrowsecurity,
	coalesce(obj_description(c.oid, 'pg_class'), ''),
	s.rows, s.bytes,
	array_to_json(ARRAY(SELECT p.relid::regclass::text FROM pg_partition_tree(c.oid) AS p WHERE p.relid <> c.oid ORDER BY 1)),
	(SELECT coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', pc.relname) ORDER BY i.inhseqno), '[]')
		FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace
		WHERE i.inhrelid = c.oid),
	(SELECT coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', pc.relname) ORDER BY pc.relname), '[]')
		FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
		WHERE i.inhparent = c.oid AND NOT pc.relispartition),
	c.oid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
LATERAL (SELECT CASE WHEN bool_or(l.reltuples < 0 OR l.relpages = 0 AND pg_relation_size(l.oid) > 0) THEN -1
		ELSE coalesce(sum(l.reltuples), 0)::bigint END AS rows, coalesce(sum(pg_total_relation_size(l.oid)), 0)::bigint AS bytes
	FROM pg_class l WHERE l.relkind = 'r' AND l.oid = ANY (ARRAY(SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)))) AS s
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY ($1::text[]) AND n.nspname NOT IN ('whimbrel_source', 'whimbrel_target')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2;
