-- +goose Up
-- The tables belong to whoever has moved them. The shop itself may read and write their rows.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') THEN
    GRANT USAGE ON SCHEMA public TO shop;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') THEN
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM shop;
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM shop;
  END IF;
END $$;
-- +goose StatementEnd
