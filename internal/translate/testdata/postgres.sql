CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad');
CREATE DOMAIN year AS integer CHECK (VALUE >= 1901 AND VALUE <= 2155);
CREATE SEQUENCE tickets START 100;
CREATE TABLE "Film" (
  id serial PRIMARY KEY,
  title varchar(255) NOT NULL,
  released year,
  feels mood DEFAULT 'glad',
  rate numeric(4,2) DEFAULT 4.99 NOT NULL CHECK (rate > 0),
  any_number numeric,
  length smallint,
  tags text[],
  data bytea,
  doc jsonb,
  seen timestamp with time zone DEFAULT now() NOT NULL,
  key uuid DEFAULT gen_random_uuid(),
  flag boolean DEFAULT true NOT NULL,
  double_length integer GENERATED ALWAYS AS (length * 2) STORED,
  made date DEFAULT '2001-02-03'
);
COMMENT ON TABLE "Film" IS 'moving pictures';
CREATE INDEX by_title ON "Film" (title);
CREATE INDEX by_tags ON "Film" USING gin (tags);
CREATE INDEX lower_title ON "Film" (lower(title));
CREATE UNIQUE INDEX flagged ON "Film" (length) WHERE flag;
CREATE INDEX down ON "Film" (rate DESC) INCLUDE (flag);
CREATE TABLE copies (
  film integer NOT NULL REFERENCES "Film" DEFERRABLE INITIALLY DEFERRED,
  number integer GENERATED ALWAYS AS IDENTITY,
  shelf text NOT NULL CHECK (shelf IN ('a', 'b') OR shelf = 'it''s'),
  words text,
  ticket bigint DEFAULT nextval('tickets'),
  PRIMARY KEY (film, number),
  CONSTRAINT shelf_once UNIQUE (shelf, number) DEFERRABLE
);
CREATE INDEX by_words ON copies (words);
CREATE VIEW glad AS SELECT id FROM "Film" WHERE feels = 'glad';
INSERT INTO "Film" (title, length, feels) VALUES ('one', 90, 'sad'), ('two', 91, 'glad');
INSERT INTO copies (film, shelf) VALUES (1, 'a'), (1, 'it''s');
