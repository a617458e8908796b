-- The body of a table's recorder, of language plpgsql. {record}, {columns}, {new}, {old}, {new_row} and {old_row} are filled
-- in with quoted names. Whole statements are noted by their transition tables, single rows by NEW and OLD; the emptying of
-- the table by an entry without a key. It uses no sequence, so that lastval() stays the application's.
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		INSERT INTO {record} (noted) VALUES (pg_catalog.clock_timestamp());
	ELSIF TG_LEVEL = 'STATEMENT' THEN
		IF TG_OP = 'INSERT' THEN
			INSERT INTO {record} (noted, {columns})
				SELECT pg_catalog.clock_timestamp(), {new} FROM whimbrel_new AS n;
		ELSIF TG_OP = 'DELETE' THEN
			INSERT INTO {record} (noted, {columns})
				SELECT pg_catalog.clock_timestamp(), {old} FROM whimbrel_old AS o;
		ELSE
			INSERT INTO {record} (noted, {columns})
				SELECT pg_catalog.clock_timestamp(), u.*
				FROM (SELECT {new} FROM whimbrel_new AS n UNION SELECT {old} FROM whimbrel_old AS o) AS u;
		END IF;
	ELSIF TG_OP = 'INSERT' THEN
		INSERT INTO {record} (noted, {columns}) VALUES (pg_catalog.clock_timestamp(), {new_row});
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO {record} (noted, {columns}) VALUES (pg_catalog.clock_timestamp(), {old_row});
	ELSE
		INSERT INTO {record} (noted, {columns}) VALUES (pg_catalog.clock_timestamp(), {new_row});
		IF NOT ROW({old_row})::record OPERATOR(pg_catalog.*=) ROW({new_row})::record THEN
			INSERT INTO {record} (noted, {columns}) VALUES (pg_catalog.clock_timestamp(), {old_row});
		END IF;
	END IF;
	RETURN NULL;
END
