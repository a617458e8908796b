-- Release 1, on MariaDB.
CREATE TABLE article (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title varchar(100) NOT NULL,
  price decimal(10,2) NOT NULL,
  delivered int NOT NULL,
  stock int NOT NULL
);
CREATE TABLE customer (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(120) NOT NULL
);
-- items: article:quantity:price, packed one after another with semicolons between.
CREATE TABLE orders (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  ref varchar(40) NOT NULL UNIQUE,
  customer_id int NOT NULL,
  state varchar(10) NOT NULL,
  items blob NOT NULL,
  total decimal(10,2) NOT NULL,
  placed datetime(3) NOT NULL,
  KEY orders_of_customer (customer_id),
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
);
-- Settings come with the release, and the shop's owner may change them.
CREATE TABLE setting (name varchar(60) NOT NULL PRIMARY KEY, value varchar(200) NOT NULL);
INSERT INTO setting VALUES ('banner', 'Free shipping');
INSERT INTO setting VALUES ('currency', 'EUR');
INSERT INTO setting VALUES ('page size', '20');
