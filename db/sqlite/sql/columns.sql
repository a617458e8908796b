-- The columns of table ?1, generated ones included (hidden 2 virtual, 3 stored; 1 belongs to virtual tables).
SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid
