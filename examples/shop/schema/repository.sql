-- What belongs to the shop's release and not to its users, as release 1 has it. Said so that both products understand it.
CREATE TABLE about (version varchar(20) NOT NULL PRIMARY KEY);
INSERT INTO about VALUES ('1.4');

CREATE TABLE message (lang varchar(2) NOT NULL, name varchar(60) NOT NULL, words varchar(400) NOT NULL, PRIMARY KEY (lang, name));
INSERT INTO message VALUES ('en', 'welcome', 'Welcome, %s!');
INSERT INTO message VALUES ('de', 'welcome', 'Willkommen, %s!');
INSERT INTO message VALUES ('en', 'sold out', 'We have run out of this.');
INSERT INTO message VALUES ('de', 'sold out', 'Das ist leider aus.');
INSERT INTO message VALUES ('en', 'fax', 'You may order by fax.');
