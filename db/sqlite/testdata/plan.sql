-- create table nullable
CREATE TABLE IF NOT EXISTS "nullable" (
  "k" TEXT,
  "x",
  PRIMARY KEY ("k")
);
-- create table od"d ' []` ñ 😀
CREATE TABLE IF NOT EXISTS "od""d ' []` ñ 😀" (
  "" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  "select" TEXT DEFAULT 'it''s',
  "br ack" TEXT DEFAULT 'dq'
);
-- create table other
CREATE TABLE IF NOT EXISTS "other" (
  "k" TEXT NOT NULL,
  "v" ANY,
  PRIMARY KEY ("k")
) STRICT;
-- capture
CREATE TABLE IF NOT EXISTS whimbrel_source_record_17 (seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400), op TEXT NOT NULL, k1);
CREATE TRIGGER IF NOT EXISTS whimbrel_insert_17 AFTER INSERT ON "other" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('i', NEW."k");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_delete_17 AFTER DELETE ON "other" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('d', OLD."k");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_update_17 AFTER UPDATE ON "other" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('u', NEW."k");
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'k', OLD."k" WHERE NOT (OLD."k" IS NEW."k" COLLATE BINARY AND typeof(OLD."k") = typeof(NEW."k"));
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_insert_17 BEFORE INSERT ON "other" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."k" FROM "other" AS t WHERE t."k" = NEW."k" COLLATE "BINARY";
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_update_17 BEFORE UPDATE ON "other" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."k" FROM "other" AS t WHERE t."k" = NEW."k" COLLATE "BINARY" AND NOT (t."k" IS OLD."k" COLLATE BINARY AND typeof(t."k") = typeof(OLD."k"));
END;
-- create table parent
CREATE TABLE IF NOT EXISTS "parent" (
  "a" INT NOT NULL,
  "b" TEXT NOT NULL,
  PRIMARY KEY ("a", "b")
) WITHOUT ROWID;
-- capture
CREATE TABLE IF NOT EXISTS whimbrel_source_record_17 (seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400), op TEXT NOT NULL, k1, k2);
CREATE TRIGGER IF NOT EXISTS whimbrel_insert_17 AFTER INSERT ON "parent" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) VALUES ('i', NEW."a", NEW."b");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_delete_17 AFTER DELETE ON "parent" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) VALUES ('d', OLD."a", OLD."b");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_update_17 AFTER UPDATE ON "parent" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) VALUES ('u', NEW."a", NEW."b");
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) SELECT 'k', OLD."a", OLD."b" WHERE NOT (OLD."a" IS NEW."a" COLLATE BINARY AND typeof(OLD."a") = typeof(NEW."a") AND OLD."b" IS NEW."b" COLLATE BINARY AND typeof(OLD."b") = typeof(NEW."b"));
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_insert_17 BEFORE INSERT ON "parent" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) SELECT 'r', t."a", t."b" FROM "parent" AS t WHERE t."a" = NEW."a" COLLATE "BINARY" AND t."b" = NEW."b" COLLATE "BINARY";
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_update_17 BEFORE UPDATE ON "parent" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1, k2) SELECT 'r', t."a", t."b" FROM "parent" AS t WHERE t."a" = NEW."a" COLLATE "BINARY" AND t."b" = NEW."b" COLLATE "BINARY" AND NOT (t."a" IS OLD."a" COLLATE BINARY AND typeof(t."a") = typeof(OLD."a") AND t."b" IS OLD."b" COLLATE BINARY AND typeof(t."b") = typeof(OLD."b"));
END;
-- create table t
CREATE TABLE IF NOT EXISTS "t" (
  "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  "name" VARCHAR(40) NOT NULL DEFAULT '' COLLATE "NOCASE",
  "price" DECIMAL(10,2) DEFAULT 1.50,
  "big" NUMERIC,
  "flag" BOOLEAN NOT NULL DEFAULT 1,
  "f" FLOAT DEFAULT -1000,
  "at" DATETIME DEFAULT CURRENT_TIMESTAMP,
  "day" DATE DEFAULT (CURRENT_TIMESTAMP),
  "u" UUID,
  "j" JSON,
  "raw" BLOB DEFAULT x'00ff',
  "any_thing",
  "n" INT DEFAULT (1 + 1),
  "nil" INT,
  "pa" INT,
  "pb" TEXT,
  "low" TEXT GENERATED ALWAYS AS (lower(name)) STORED,
  "twice" INT GENERATED ALWAYS AS (n * 2) VIRTUAL,
  CONSTRAINT "named" CHECK (length(name) > 0 AND name <> ')' /* ( */),
  CHECK (n > 0),
  FOREIGN KEY ("pb") REFERENCES "other" ("k") ON DELETE SET NULL,
  CONSTRAINT "fk" FOREIGN KEY ("pa", "pb") REFERENCES "parent" ("a", "b") ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY ("n") REFERENCES "t" ("id")
);
-- create unique index t_key_1
CREATE UNIQUE INDEX IF NOT EXISTS "t_key_1" ON "t" ("price", "day");
-- create unique index tx
CREATE UNIQUE INDEX IF NOT EXISTS "tx" ON "t" ((lower(name)) COLLATE "NOCASE" DESC, "price") WHERE price > 0;
-- create index ti
CREATE INDEX IF NOT EXISTS "ti" ON "t" ("day" DESC, "u");
-- prove check named of t
SELECT whimbrel_prove(count(*), 'check named of t') FROM "t" WHERE NOT (length(name) > 0 AND name <> ')' /* ( */);
-- prove check of t
SELECT whimbrel_prove(count(*), 'check of t') FROM "t" WHERE NOT (n > 0);
-- prove foreign key of t to other
SELECT whimbrel_prove(count(*), 'foreign key of t to other') FROM (SELECT c."id" FROM "t" AS c WHERE c."pb" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "other" AS p WHERE p."k" = c."pb"));
-- prove foreign key fk of t to parent
SELECT whimbrel_prove(count(*), 'foreign key fk of t to parent') FROM (SELECT c."id" FROM "t" AS c WHERE c."pa" IS NOT NULL AND c."pb" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "parent" AS p WHERE p."a" = c."pa" AND p."b" = c."pb"));
-- prove foreign key of t to t
SELECT whimbrel_prove(count(*), 'foreign key of t to t') FROM (SELECT c."id" FROM "t" AS c WHERE c."n" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "t" AS p WHERE p."id" = c."n"));
-- capture
CREATE TABLE IF NOT EXISTS whimbrel_source_record_17 (seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400), op TEXT NOT NULL, k1);
CREATE TRIGGER IF NOT EXISTS whimbrel_insert_17 AFTER INSERT ON "t" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('i', NEW."id");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_delete_17 AFTER DELETE ON "t" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('d', OLD."id");
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_update_17 AFTER UPDATE ON "t" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) VALUES ('u', NEW."id");
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'k', OLD."id" WHERE NOT (OLD."id" IS NEW."id" COLLATE BINARY AND typeof(OLD."id") = typeof(NEW."id"));
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_insert_17 BEFORE INSERT ON "t" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."id" FROM "t" AS t WHERE t."price" = NEW."price" COLLATE "BINARY" AND t."day" = NEW."day" COLLATE "BINARY";
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."id" FROM "t" AS t, (SELECT (lower(name)) AS whimbrel_v0 FROM (SELECT NEW."id" AS "id", NEW."name" AS "name", NEW."price" AS "price", NEW."big" AS "big", NEW."flag" AS "flag", NEW."f" AS "f", NEW."at" AS "at", NEW."day" AS "day", NEW."u" AS "u", NEW."j" AS "j", NEW."raw" AS "raw", NEW."any_thing" AS "any_thing", NEW."n" AS "n", NEW."nil" AS "nil", NEW."pa" AS "pa", NEW."pb" AS "pb", NEW."low" AS "low", NEW."twice" AS "twice")) AS n WHERE (lower(name)) = n.whimbrel_v0 COLLATE "NOCASE" AND t."price" = NEW."price" COLLATE "BINARY" AND (price > 0);
END;
CREATE TRIGGER IF NOT EXISTS whimbrel_displace_update_17 BEFORE UPDATE ON "t" FOR EACH ROW BEGIN
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."id" FROM "t" AS t WHERE t."price" = NEW."price" COLLATE "BINARY" AND t."day" = NEW."day" COLLATE "BINARY" AND NOT (t."id" IS OLD."id" COLLATE BINARY AND typeof(t."id") = typeof(OLD."id"));
  INSERT INTO whimbrel_source_record_17 (op, k1) SELECT 'r', t."id" FROM "t" AS t, (SELECT (lower(name)) AS whimbrel_v0 FROM (SELECT NEW."id" AS "id", NEW."name" AS "name", NEW."price" AS "price", NEW."big" AS "big", NEW."flag" AS "flag", NEW."f" AS "f", NEW."at" AS "at", NEW."day" AS "day", NEW."u" AS "u", NEW."j" AS "j", NEW."raw" AS "raw", NEW."any_thing" AS "any_thing", NEW."n" AS "n", NEW."nil" AS "nil", NEW."pa" AS "pa", NEW."pb" AS "pb", NEW."low" AS "low", NEW."twice" AS "twice")) AS n WHERE (lower(name)) = n.whimbrel_v0 COLLATE "NOCASE" AND t."price" = NEW."price" COLLATE "BINARY" AND (price > 0) AND NOT (t."id" IS OLD."id" COLLATE BINARY AND typeof(t."id") = typeof(OLD."id"));
END;
