-- $1 a table, $2 its number. One line of JSON with everything about it whose change could hide a change of its rows. What
-- harmless maintenance moves is left out: pg_class.xmin, and the table's file, because TRUNCATE is noted.
SELECT jsonb_build_object(
	'id', c.oid::bigint, 'kind', c.relkind, 'persistence', c.relpersistence,
	'security', jsonb_build_array(c.relrowsecurity, c.relforcerowsecurity),
	'columns', (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
			a.attgenerated, a.attcollation::bigint) ORDER BY a.attnum)
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
	'primary', (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'),
	'members', (SELECT jsonb_agg(m.oid::bigint ORDER BY m.oid) FROM (
		SELECT relid AS oid FROM pg_partition_tree(c.oid) UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid
		UNION SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid) AS m),
	'subscribed', EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
		WHERE d.datname = current_database()),
	'fed', EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = ANY (ARRAY(SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)))),
	'triggers', (SELECT jsonb_object_agg(t.tgrelid::bigint || ' ' || t.tgname,
			jsonb_build_array(t.oid::bigint, t.xmin::text, t.tgenabled))
		FROM pg_trigger t WHERE t.tgname ~ ('^whimbrel_(insert|update|delete|key|empty|row)_' || $2 || '$')
			AND t.tgrelid = ANY (ARRAY(SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)))),
	'function', (SELECT jsonb_agg(jsonb_build_array(p.oid::bigint, p.xmin::text) ORDER BY p.oid) FROM pg_proc p
		WHERE p.pronamespace = to_regnamespace('whimbrel_source') AND p.proname = ANY (ARRAY(
			SELECT 'note_' || $2 || '_' || n.what FROM unnest('{new_rows,old_rows,new_row,old_row,every_row}'::text[]) AS n(what))::name[])),
	'record', (SELECT jsonb_build_array(r.oid::bigint, pg_relation_filenode(r.oid)::bigint) FROM pg_class r
		WHERE r.oid = to_regclass('whimbrel_source.record_' || $2)))
FROM pg_class c WHERE c.oid = to_regclass($1);
