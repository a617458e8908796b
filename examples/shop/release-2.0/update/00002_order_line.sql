-- +goose Up
-- The lines came out of a blob: nothing has tied them to articles before.
ALTER TABLE order_line ADD CONSTRAINT line_of_order FOREIGN KEY (order_id) REFERENCES sales_order (id);
ALTER TABLE order_line ADD CONSTRAINT line_of_article FOREIGN KEY (article_id) REFERENCES article (id);
CREATE INDEX lines_of_article ON order_line (article_id);
CREATE VIEW open_order AS SELECT o.id, o.placed, o.total, c.first_name, c.last_name FROM sales_order o JOIN customer c ON c.id = o.customer_id WHERE o.state = 'placed';

-- +goose Down
DROP VIEW open_order;
DROP INDEX lines_of_article;
ALTER TABLE order_line DROP CONSTRAINT line_of_article;
ALTER TABLE order_line DROP CONSTRAINT line_of_order;
