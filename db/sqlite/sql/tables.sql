-- Every table, view and virtual table of the file with its own words. Ours and SQLite's own are left out by the reader.
SELECT l.name, l.type, l.wr, l.strict, coalesce(s.sql, '')
FROM pragma_table_list AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type IN ('table', 'view')
WHERE l.schema = 'main' ORDER BY l.name COLLATE BINARY
