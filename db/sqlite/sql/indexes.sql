-- The indexes of table ?1 in the order they were made; origin c: CREATE INDEX, u: UNIQUE, pk: PRIMARY KEY.
SELECT l.name, l."unique", l.origin, l.partial, coalesce(s.sql, '')
FROM pragma_index_list(?1, 'main') AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'index'
ORDER BY l.seq DESC
