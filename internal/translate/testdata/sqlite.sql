CREATE TABLE person (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name VARCHAR(30) COLLATE NOCASE NOT NULL UNIQUE,
  size REAL CHECK (size / 2 > 0.1),
  weight DECIMAL(8,3),
  photo BLOB,
  born DATE,
  active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
  made DATETIME DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT tall CHECK ("size" > 0 AND "weight" IS NOT NULL)
);
CREATE TABLE "a ""b" (
  x TEXT NOT NULL,
  y INT NOT NULL REFERENCES person (id) ON UPDATE CASCADE,
  z TEXT GENERATED ALWAYS AS (x || 'z') VIRTUAL,
  PRIMARY KEY (x, y)
) WITHOUT ROWID;
CREATE INDEX by_y ON "a ""b" (y DESC);
CREATE UNIQUE INDEX some ON person (born) WHERE born IS NOT NULL;
CREATE INDEX expr ON person (lower(name));
CREATE VIEW grown AS SELECT id FROM person WHERE size > 1;
INSERT INTO person (name, size, weight, born) VALUES ('Ann', 1.6, 60.5, '2000-01-02');
INSERT INTO "a ""b" (x, y) VALUES ('k', 1);
