-- The book at the target: the epoch that may write, the loaded ranges, the lanes, and the lists of keys.
CREATE TABLE IF NOT EXISTS whimbrel_target.epoch (
	sole boolean PRIMARY KEY DEFAULT true CHECK (sole), run text NOT NULL, epoch bigint NOT NULL);
CREATE TABLE IF NOT EXISTS whimbrel_target.range (
	table_no integer NOT NULL, number integer NOT NULL, rows bigint NOT NULL, epoch bigint NOT NULL,
	CONSTRAINT range_loaded PRIMARY KEY (table_no, number));
CREATE TABLE IF NOT EXISTS whimbrel_target.lane (
	table_no integer NOT NULL, lane integer NOT NULL, number bigint NOT NULL, promiser bigint NOT NULL, session integer NOT NULL,
	PRIMARY KEY (table_no, lane)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS whimbrel_target.list (
	table_no integer NOT NULL, list "char" NOT NULL, digest uuid NOT NULL, key bytea NOT NULL, stamp bigint NOT NULL,
	PRIMARY KEY (table_no, list, digest)) WITH (fillfactor = 80);
CREATE SEQUENCE IF NOT EXISTS whimbrel_target.stamp;
