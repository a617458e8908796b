-- $1 names of tables. Who holds a lock on them, or on a partition of theirs, that lets it write: sessions and prepared
-- transactions. $2: who holds any lock, the server's own workers too.
SELECT DISTINCT CASE WHEN l.pid IS NULL THEN 'prepared transaction ' || coalesce(quote_literal(p.gid), l.virtualtransaction)
	ELSE 'session ' || l.pid || coalesce(' of ' || a.usename, '') || coalesce(' (' || coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend')) || ')', '')
	END AS holder
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN (SELECT x.virtualtransaction, q.gid FROM pg_locks x JOIN pg_prepared_xacts q ON x.transactionid = q.transaction
	WHERE x.locktype = 'transactionid' AND x.pid IS NULL) AS p ON l.pid IS NULL AND p.virtualtransaction = l.virtualtransaction
WHERE l.locktype = 'relation' AND l.granted
	AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND l.relation IN (
		SELECT t.name::regclass FROM unnest($1::text[]) AS t(name)
		UNION SELECT p.relid FROM unnest($1::text[]) AS t(name), pg_partition_tree(t.name::regclass) AS p)
	AND ($2::bool OR l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
	AND l.pid IS DISTINCT FROM pg_backend_pid()
	AND ($2::bool OR NOT coalesce(a.backend_type IN ('autovacuum worker', 'parallel worker'), false))
ORDER BY 1;
