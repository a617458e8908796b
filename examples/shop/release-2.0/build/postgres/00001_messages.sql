-- +goose Up
-- Texts have a tone; the old ones are for every tone but where the release says them anew.
ALTER TABLE message ADD COLUMN tone varchar(10) NOT NULL DEFAULT 'any';
DELETE FROM message WHERE name = 'fax';
UPDATE message SET words = 'Good to see you, ' || '%s.' WHERE lang = 'en' AND name = 'welcome';
UPDATE message SET words = replace(words, 'Willkommen', 'Schön, dass Sie da sind') WHERE lang = 'de' AND name = 'welcome';
INSERT INTO message (lang, name, words, tone) VALUES ('fr', 'welcome', 'Bienvenue, %s !', 'any'), ('fr', 'sold out', 'Épuisé.', 'any');

-- +goose Down
DELETE FROM message WHERE lang = 'fr';
ALTER TABLE message DROP COLUMN tone;
