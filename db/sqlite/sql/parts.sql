-- The parts of index ?1; cid -2 is an expression.
SELECT cid, name, "desc", coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno
