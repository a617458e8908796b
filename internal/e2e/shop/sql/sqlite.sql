CREATE TABLE account (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  email VARCHAR(80) NOT NULL UNIQUE,
  "Name" VARCHAR(60) NOT NULL,
  balance DECIMAL(14,2) NOT NULL,
  version INT NOT NULL DEFAULT 0,
  created TIMESTAMP NOT NULL,
  note TEXT
);
CREATE INDEX account_name ON account ("Name");
CREATE TABLE "order" (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id BIGINT NOT NULL REFERENCES account (id),
  status VARCHAR(12) NOT NULL DEFAULT 'new',
  total DECIMAL(14,2) NOT NULL,
  "select" INT NOT NULL DEFAULT 0,
  placed TIMESTAMP NOT NULL
);
CREATE INDEX order_account ON "order" (account_id);
CREATE INDEX order_status ON "order" (status, placed);
CREATE TABLE order_line (
  order_id BIGINT NOT NULL REFERENCES "order" (id),
  line_no INT NOT NULL,
  sku VARCHAR(20) NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (order_id, line_no)
);
CREATE TABLE tag (
  name VARCHAR(60) NOT NULL PRIMARY KEY,
  weight INT NOT NULL,
  "größe" DECIMAL(8,3),
  colour CHAR(7)
) WITHOUT ROWID;
CREATE TABLE "Seat Map" (
  "Seat" INTEGER NOT NULL PRIMARY KEY,
  "Holder" VARCHAR(40) UNIQUE,
  row_no INT NOT NULL
);
CREATE TABLE event (
  id INTEGER NOT NULL PRIMARY KEY,
  at TIMESTAMP NOT NULL,
  kind VARCHAR(20) NOT NULL,
  account_id BIGINT,
  payload TEXT
);
CREATE TABLE scratch (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL);
CREATE TABLE document (id BIGINT NOT NULL PRIMARY KEY, mime VARCHAR(40) NOT NULL, body BLOB, size INT NOT NULL);
CREATE TABLE setting ("key" VARCHAR(40) NOT NULL PRIMARY KEY, value TEXT, "größer als" INT NOT NULL DEFAULT 7);
CREATE TABLE log_line (at TIMESTAMP NOT NULL, line TEXT);
CREATE TABLE category (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE category_item (
  category_id INT NOT NULL REFERENCES category (id) ON DELETE CASCADE ON UPDATE CASCADE,
  item_no INT NOT NULL,
  label VARCHAR(40),
  PRIMARY KEY (category_id, item_no)
);
CREATE TABLE item_note (
  id INT NOT NULL PRIMARY KEY,
  category_id INT,
  item_no INT,
  CONSTRAINT note_item FOREIGN KEY (category_id, item_no) REFERENCES category_item (category_id, item_no) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE TABLE types (
  id INT NOT NULL PRIMARY KEY,
  whole INTEGER, large BIGINT, exact DECIMAL(12,4), long DOUBLE, yes BOOLEAN, fixed CHAR(5), "varying" VARCHAR(20), free TEXT, bytes BLOB,
  day DATE, stamp DATETIME, doc JSON
);
