CREATE TABLE account (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email varchar(80) NOT NULL,
  "Name" varchar(60) NOT NULL,
  balance decimal(14,2) NOT NULL,
  version int NOT NULL DEFAULT 0,
  created datetime(6) NOT NULL,
  note text,
  UNIQUE KEY account_email (email),
  KEY account_name ("Name")
);
CREATE TABLE "order" (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id bigint NOT NULL,
  status varchar(12) NOT NULL DEFAULT 'new',
  total decimal(14,2) NOT NULL,
  "select" int NOT NULL DEFAULT 0,
  placed datetime(6) NOT NULL,
  KEY order_status (status, placed),
  CONSTRAINT order_account FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE TABLE order_line (
  order_id bigint NOT NULL,
  line_no int NOT NULL,
  sku varchar(20) NOT NULL,
  quantity int NOT NULL,
  price decimal(10,2) NOT NULL,
  PRIMARY KEY (order_id, line_no),
  CONSTRAINT line_order FOREIGN KEY (order_id) REFERENCES "order" (id)
);
CREATE TABLE tag (
  name varchar(60) NOT NULL PRIMARY KEY,
  weight int NOT NULL,
  "größe" decimal(8,3),
  colour char(7)
);
CREATE TABLE "Seat Map" (
  "Seat" bigint NOT NULL PRIMARY KEY,
  "Holder" varchar(40),
  row_no int NOT NULL,
  UNIQUE KEY seat_holder ("Holder")
);
CREATE TABLE event (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at datetime(6) NOT NULL,
  kind varchar(20) NOT NULL,
  account_id bigint,
  payload text
);
CREATE TABLE scratch (id bigint NOT NULL PRIMARY KEY, v int NOT NULL);
CREATE TABLE document (id bigint NOT NULL PRIMARY KEY, mime varchar(40) NOT NULL, body mediumblob, size int NOT NULL);
CREATE TABLE setting ("key" varchar(40) NOT NULL PRIMARY KEY, value text, "größer als" int NOT NULL DEFAULT 7);
CREATE TABLE log_line (at datetime(6) NOT NULL, line text);
CREATE TABLE category (id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL);
CREATE TABLE category_item (
  category_id int NOT NULL,
  item_no int NOT NULL,
  label varchar(40),
  PRIMARY KEY (category_id, item_no),
  CONSTRAINT item_category FOREIGN KEY (category_id) REFERENCES category (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE item_note (
  id int NOT NULL PRIMARY KEY,
  category_id int,
  item_no int,
  CONSTRAINT note_item FOREIGN KEY (category_id, item_no) REFERENCES category_item (category_id, item_no) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE TABLE types (
  id int NOT NULL PRIMARY KEY,
  tiny tinyint, utiny tinyint unsigned, whole int unsigned, large bigint unsigned, exact decimal(65,30), short float, "long" double,
  fixed char(5), "varying" varchar(20) CHARACTER SET latin1, free longtext, bytes varbinary(40), five binary(5), day date, clock time(6),
  stamp datetime(6), moment timestamp(6) NULL, era year, doc json, mask bit(9), mood enum('good','bad','so, so'), extras set('a','b','c')
);
