-- What the source keeps for a move: the number of the last batch forgotten in each lane, and how many steps of the file's
-- schema version were our own.
CREATE TABLE IF NOT EXISTS whimbrel_source_lane (
  table_no INTEGER NOT NULL, lane INTEGER NOT NULL, number INTEGER NOT NULL, promiser INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (table_no, lane)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whimbrel_source_steps (steps INTEGER NOT NULL);
INSERT INTO whimbrel_source_steps (steps) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM whimbrel_source_steps);
