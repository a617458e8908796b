-- +goose Up
-- Other defaults, where the shop's owner has not chosen (release.yaml: merge), and a setting that release 1 has not got.
UPDATE setting SET value = '50' WHERE name = 'page size';
UPDATE setting SET value = 'Now with invoices' WHERE name = 'banner';
INSERT INTO setting (name, value) VALUES ('tone', 'friendly');

-- What may follow what: new with this release.
CREATE TABLE workflow (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, state varchar(20) NOT NULL, leads_to varchar(20) NOT NULL, UNIQUE KEY (state, leads_to));
INSERT INTO workflow (state, leads_to) VALUES ('placed', 'cancelled');

UPDATE about SET version = '2.0';

-- +goose Down
DROP TABLE workflow;
DELETE FROM setting WHERE name = 'tone';
UPDATE about SET version = '1.4';
