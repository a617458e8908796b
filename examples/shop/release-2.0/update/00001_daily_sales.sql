-- +goose Up
-- Sales by day, computed from the orders, which stand still now.
CREATE TABLE daily_sales (day date PRIMARY KEY, orders bigint NOT NULL, total numeric(16,4) NOT NULL);
INSERT INTO daily_sales SELECT placed::date, count(*), sum(total) FROM sales_order WHERE state = 'placed' GROUP BY placed::date;

-- +goose Down
DROP TABLE daily_sales;
