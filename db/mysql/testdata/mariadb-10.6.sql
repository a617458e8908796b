CREATE TABLE IF NOT EXISTS `shop`.`every kind` (
  `other` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `other_sized` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `other_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
  `bool` tinyint(1) NULL,
  `bool_sized` tinyint(1) NULL,
  `bool_key` tinyint(1) NOT NULL,
  `int` bigint NULL,
  `int_sized` smallint NULL,
  `int_key` bigint NOT NULL AUTO_INCREMENT,
  `decimal` decimal(65,30) NULL,
  `decimal_sized` decimal(16,3) NULL,
  `decimal_key` decimal(65,30) NOT NULL,
  `float32` float NULL,
  `float32_sized` float NULL,
  `float32_key` float NOT NULL,
  `float64` double NULL,
  `float64_sized` double NULL,
  `float64_key` double NOT NULL,
  `text` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL DEFAULT 'it''s \\',
  `text_sized` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `text_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
  `bytes` longblob NULL,
  `bytes_sized` binary(20) NULL,
  `bytes_key` varbinary(768) NOT NULL,
  `date` date NULL DEFAULT (curdate()),
  `date_sized` date NULL,
  `date_key` date NOT NULL,
  `time` time(6) NULL,
  `time_sized` time(6) NULL,
  `time_key` time(6) NOT NULL,
  `timestamp` datetime(6) NULL DEFAULT current_timestamp(6),
  `timestamp_sized` datetime(6) NULL,
  `timestamp_key` datetime(6) NOT NULL,
  `instant` datetime(6) NULL,
  `instant_sized` datetime(6) NULL,
  `instant_key` datetime(6) NOT NULL,
  `duration` time(6) NULL,
  `duration_sized` time(6) NULL,
  `duration_key` time(6) NOT NULL,
  `interval` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `interval_sized` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `interval_key` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
  `uuid` char(36) CHARACTER SET ascii COLLATE ascii_nopad_bin NULL DEFAULT (uuid()),
  `uuid_sized` char(36) CHARACTER SET ascii COLLATE ascii_nopad_bin NULL,
  `uuid_key` char(36) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  `json` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL CHECK (json_valid(`json`)),
  `json_sized` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL CHECK (json_valid(`json_sized`)),
  `json_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
  `bits` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
  `bits_sized` bit(20) NULL DEFAULT b'00000000000000000101',
  `bits_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
  PRIMARY KEY (`int_key`),
  CONSTRAINT `c` CHECK (`int` > 0)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

ALTER TABLE `shop`.`every kind` ADD UNIQUE KEY `u` (`text_key`, `uuid_key`);

ALTER TABLE `shop`.`every kind` ADD KEY `i` (`text`(191), `int`);

ALTER TABLE `shop`.`every kind` ADD CONSTRAINT `fk` FOREIGN KEY (`int`) REFERENCES `shop`.`p` (`id`) ON DELETE RESTRICT ON UPDATE CASCADE;

SELECT IF(EXISTS(SELECT 1 FROM `shop`.`every kind` c LEFT JOIN `shop`.`p` p ON p.`id` = c.`int` WHERE c.`int` IS NOT NULL AND p.`id` IS NULL), (SELECT 1 UNION ALL SELECT 2), 0);

SELECT IF(EXISTS(SELECT 1 FROM `shop`.`every kind` WHERE NOT (`int` > 0)), (SELECT 1 UNION ALL SELECT 2), 0);

SELECT c.`int_key` FROM `shop`.`every kind` c LEFT JOIN `shop`.`p` p ON p.`id` = c.`int` WHERE c.`int` IS NOT NULL AND p.`id` IS NULL LIMIT 100;

whimbrel_insert_3 AFTER INSERT
INSERT INTO `shop`.`whimbrel_source_record_3` (k1, k2) VALUES (NEW.`int_key`, NEW.`text_key`);

whimbrel_update_3 AFTER UPDATE
BEGIN IF NOT (OLD.`int_key` <=> NEW.`int_key` AND OLD.`text_key` <=> NEW.`text_key`) THEN INSERT INTO `shop`.`whimbrel_source_record_3` (k1, k2) VALUES (OLD.`int_key`, OLD.`text_key`); END IF; INSERT INTO `shop`.`whimbrel_source_record_3` (k1, k2) VALUES (NEW.`int_key`, NEW.`text_key`); END;

whimbrel_delete_3 AFTER DELETE
INSERT INTO `shop`.`whimbrel_source_record_3` (k1, k2) VALUES (OLD.`int_key`, OLD.`text_key`);

whimbrel_shut_insert_3 BEFORE INSERT
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel moves this database: writes to this table are refused until the move has ended or was taken back';

whimbrel_shut_update_3 BEFORE UPDATE
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel moves this database: writes to this table are refused until the move has ended or was taken back';

whimbrel_shut_delete_3 BEFORE DELETE
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel moves this database: writes to this table are refused until the move has ended or was taken back';

whimbrel_guard_insert_3 BEFORE INSERT
IF @whimbrel_run IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel fills this table: it opens when the move has ended'; END IF;

whimbrel_guard_update_3 BEFORE UPDATE
IF @whimbrel_run IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel fills this table: it opens when the move has ended'; END IF;

whimbrel_guard_delete_3 BEFORE DELETE
IF @whimbrel_run IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel fills this table: it opens when the move has ended'; END IF;

