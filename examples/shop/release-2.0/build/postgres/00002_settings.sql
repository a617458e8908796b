-- +goose Up
-- The release's settings. What the shop's owner has chosen in release 1 counts more, where release.yaml says so (merge).
CREATE TABLE setting (name varchar(60) NOT NULL PRIMARY KEY, value varchar(200) NOT NULL);
INSERT INTO setting (name, value) VALUES ('banner', 'Now with invoices'), ('currency', 'EUR'), ('page size', '50'), ('tone', 'friendly');

-- What may follow what: new with this release.
CREATE TABLE workflow (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state varchar(20) NOT NULL, leads_to varchar(20) NOT NULL, UNIQUE (state, leads_to));
INSERT INTO workflow (state, leads_to) VALUES ('placed', 'cancelled');

UPDATE about SET version = '2.0';

-- +goose Down
UPDATE about SET version = '1.4';
DROP TABLE workflow;
DROP TABLE setting;
