-- The body of a recorder's function, of language plpgsql. {record} and {columns} are filled in with quoted names, {entries}
-- with what is noted: the rows of a statement, from the transition table of its trigger, one row's key, or, where the table
-- was emptied, an entry without a key. There is a function for each, because a condition would cost more than the call. It
-- uses no sequence, so that lastval() stays the application's.
BEGIN
	INSERT INTO {record} ({columns}) {entries};
	RETURN NULL;
END
