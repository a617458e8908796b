-- The book at the target: who may write, which ranges are in, which batch came last, and the lists of keys.
CREATE TABLE IF NOT EXISTS whimbrel_target_epoch (run TEXT NOT NULL, epoch INTEGER NOT NULL, stamp INTEGER NOT NULL, session TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS whimbrel_target_range (
  table_no INTEGER NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (table_no, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whimbrel_target_lane (
  table_no INTEGER NOT NULL, lane INTEGER NOT NULL, number INTEGER NOT NULL, promiser INTEGER NOT NULL, session TEXT NOT NULL, PRIMARY KEY (table_no, lane)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whimbrel_target_list (
  list TEXT NOT NULL, table_no INTEGER NOT NULL, key BLOB NOT NULL, stamp INTEGER NOT NULL,
  PRIMARY KEY (list, table_no, key)
) WITHOUT ROWID;
