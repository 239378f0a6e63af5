-- A shop that rents films: every kind of column that such schemas have. All values follow from row numbers.
SET time_zone = '+00:00';
CREATE TABLE language (
    language_id tinyint unsigned PRIMARY KEY,
    name char(20) NOT NULL,
    last_update timestamp(6) NOT NULL
);
INSERT INTO language
SELECT seq, ELT(seq, 'English', 'Italiano', '日本語', 'Français', 'Ελληνικά', 'Türkçe'),
    TIMESTAMPADD(MICROSECOND, seq * 1000001, '2006-02-15 05:02:19')
FROM seq_1_to_6;

CREATE TABLE film (
    film_id smallint unsigned PRIMARY KEY,
    title varchar(255) NOT NULL,
    description text,
    release_year year,
    language_id tinyint unsigned NOT NULL REFERENCES language (language_id),
    rental_duration tinyint NOT NULL DEFAULT 3,
    rental_rate decimal(4,2) NOT NULL,
    length smallint unsigned,
    replacement_cost decimal(5,2) unsigned NOT NULL,
    rating enum('G', 'PG', 'PG-13', 'R', 'NC-17'),
    score double,
    special_features set('Trailers', 'Commentaries', 'Deleted Scenes', 'Café'),
    poster mediumblob,
    mark binary(4) NOT NULL,
    latin varchar(20) CHARACTER SET latin1,
    last_update datetime(3) NOT NULL,
    FULLTEXT KEY words (title, description)
);
INSERT INTO film
SELECT n, CONCAT(UPPER(a), ' ', b, ' ', n), IF(n % 7 > 0, CONCAT(a, ' of a "', b, '", told\tin ', n, ' \\ 🎬'), NULL),
    1960 + n * 31 % 60, 1 + n % 6, 3 + n % 5, n % 5 + 0.99, NULLIF(46 + n * 17 % 140, 50), 9.99 + n % 20,
    ELT(n % 6, 'G', 'PG', 'PG-13', 'R', 'NC-17'), n % 40 / 8, IF(n % 13 > 0, n % 16, NULL),
    IF(n % 4 > 0, UNHEX(REPEAT(MD5(n), n % 9)), NULL), UNHEX(LPAD(HEX(n), 8, '0')), b,
    TIMESTAMPADD(MICROSECOND, n * 61007000, '2013-05-26 14:50:58.951')
FROM (SELECT seq n, ELT(1 + seq % 7, 'chamber', 'ace', 'affair', 'agent', 'über', 'alamo', 'naïve') a,
    ELT(1 + seq % 9, 'goldfinger', 'prejudice', 'truman', 'holes', 'airport', 'l''été', 'sens', 'moon', 'wolf') b
    FROM seq_1_to_1200) names;

CREATE TABLE customer (
    customer_id mediumint unsigned PRIMARY KEY,
    first_name varchar(45) NOT NULL,
    last_name varchar(45) CHARACTER SET latin1 NOT NULL,
    email varchar(60),
    active tinyint(1) NOT NULL,
    balance decimal(12,4) NOT NULL,
    born date,
    preferences json,
    flags bit(12) NOT NULL,
    calls_for time,
    visits bigint unsigned NOT NULL,
    created timestamp NOT NULL DEFAULT '2000-01-01'
);
INSERT INTO customer
SELECT seq, CONCAT('First', seq % 300), CONCAT('Läst', seq * 7 % 900), IF(seq % 10 > 0, CONCAT('customer', seq, '@example.org'), NULL),
    seq % 2, (CAST(seq AS SIGNED) * 7919 % 2000003 - 1000001) / 10000, ADDDATE('1940-01-01', seq * 37 % 24000),
    IF(seq % 3 > 0, JSON_OBJECT('n', seq, 'tags', JSON_ARRAY(seq % 2, NULL, 'é')), NULL), seq % 4096,
    SEC_TO_TIME(CAST(seq AS SIGNED) * 401 - 1000000), 18446744073709551615 - seq, TIMESTAMPADD(HOUR, seq, '2005-02-14 22:04:36')
FROM seq_1_to_6000;

CREATE TABLE inventory (
    inventory_id mediumint PRIMARY KEY,
    film_id smallint unsigned NOT NULL,
    store_id tinyint NOT NULL,
    KEY (film_id)
);
INSERT INTO inventory SELECT seq, 1 + seq * 13 % 1200, 1 + seq % 2 FROM seq_1_to_5000;

CREATE TABLE rental (
    rental_id int PRIMARY KEY,
    rental_date datetime NOT NULL,
    inventory_id mediumint NOT NULL,
    customer_id mediumint unsigned NOT NULL,
    return_date datetime,
    staff_id tinyint NOT NULL,
    UNIQUE KEY (rental_date, inventory_id, customer_id)
);
INSERT INTO rental
SELECT seq, TIMESTAMPADD(SECOND, seq * 97, '2005-05-24 22:53:30'), 1 + seq * 101 % 5000, 1 + seq * 7919 % 6000,
    IF(seq % 17 > 0, TIMESTAMPADD(SECOND, seq * 101, '2005-05-26 22:04:30'), NULL), 1 + seq % 2
FROM seq_1_to_30000;

CREATE TABLE payment (
    payment_id int unsigned NOT NULL,
    customer_id mediumint unsigned NOT NULL,
    rental_id int,
    amount decimal(5,2) NOT NULL,
    payment_date datetime NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE COLUMNS (payment_date) (
    PARTITION early VALUES LESS THAN ('2022-02-01'),
    PARTITION middle VALUES LESS THAN ('2022-03-15'),
    PARTITION late VALUES LESS THAN (MAXVALUE)
);
INSERT INTO payment
SELECT seq, 1 + seq * 7919 % 6000, IF(seq % 9 > 0, seq, NULL), seq % 1200 / 100 - 1, TIMESTAMPADD(MINUTE, seq * 4, '2022-01-01')
FROM seq_1_to_30000;

CREATE TABLE nothing (id int PRIMARY KEY, words longtext, marks set('a', 'b'));

CREATE VIEW film_list AS
SELECT f.film_id AS FID, f.title, l.name AS language, f.rental_rate AS price, f.rating, COUNT(i.inventory_id) AS copies,
    GROUP_CONCAT(i.store_id ORDER BY i.inventory_id) AS stores
FROM film f JOIN language l USING (language_id) LEFT JOIN inventory i USING (film_id)
GROUP BY f.film_id, f.title, l.name, f.rental_rate, f.rating;
CREATE VIEW sales AS
SELECT DATE_FORMAT(payment_date, '%Y-%m') AS month, COUNT(*) AS payments, SUM(amount) AS total FROM payment GROUP BY 1;
