CREATE TABLE customers (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  mail varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  `Name ``quoted``` varchar(40) CHARACTER SET latin1 DEFAULT 'a''b' COMMENT 'how they are called',
  born date DEFAULT NULL,
  state enum('new','paid','gone') NOT NULL DEFAULT 'new',
  likes set('a','b') DEFAULT NULL,
  doc longtext DEFAULT NULL CHECK (json_valid(doc)),
  note longtext,
  PRIMARY KEY (id),
  UNIQUE KEY mail (mail),
  KEY born (born),
  KEY beginning (note(20)),
  KEY short_beginning (mail(10)),
  FULLTEXT KEY words (note)
) COMMENT='who buys';
CREATE TABLE orders (
  id int NOT NULL AUTO_INCREMENT,
  customer bigint unsigned NOT NULL,
  total decimal(65,30) NOT NULL DEFAULT 0,
  tax decimal(10,2) AS (total * 0.19) STORED,
  placed datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  seen timestamp NULL DEFAULT NULL,
  took time(6) DEFAULT NULL,
  flags bit(9) NOT NULL DEFAULT b'101',
  digest binary(4) DEFAULT NULL,
  paid tinyint(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  KEY customers (customer),
  CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE,
  CONSTRAINT positive CHECK (total >= 0 and paid in (0,1)),
  CONSTRAINT odd CHECK (length(digest) > 1)
);
CREATE TABLE `select` (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b), UNIQUE KEY born (b)) COMMENT='a reserved word';
CREATE VIEW open_orders AS SELECT id FROM orders WHERE paid = 0;
INSERT INTO customers (mail, state, note) VALUES ('a@b', 'new', 'x'), ('c@d', 'paid', NULL);
INSERT INTO orders (customer, total) VALUES (1, 3.5);
