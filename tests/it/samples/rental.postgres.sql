-- A shop that rents films: every kind of column that such schemas have. All values follow from row numbers.
CREATE TYPE rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN release_year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE DOMAIN mail_address AS varchar(60) CHECK (VALUE LIKE '%@%');

CREATE TABLE language (
    language_id smallint PRIMARY KEY,
    name char(20) NOT NULL,
    last_update timestamp NOT NULL
);
INSERT INTO language
SELECT n, (ARRAY['English', 'Italiano', '日本語', 'Français', 'Ελληνικά', 'Türkçe'])[n],
    timestamp '2006-02-15 05:02:19' + n * interval '1.000001 second'
FROM generate_series(1, 6) n;

CREATE TABLE film (
    film_id integer PRIMARY KEY,
    title varchar(255) NOT NULL,
    description text,
    release_year release_year,
    language_id smallint NOT NULL REFERENCES language,
    rental_duration smallint NOT NULL DEFAULT 3,
    rental_rate numeric(4,2) NOT NULL,
    length smallint,
    replacement_cost numeric(5,2) NOT NULL,
    rating rating,
    score double precision,
    special_features text[],
    shelf_marks integer[],
    poster bytea,
    key uuid NOT NULL,
    fulltext tsvector,
    last_update timestamp(3) NOT NULL
);
INSERT INTO film
SELECT n, initcap(a || ' ' || b || ' ' || n), CASE WHEN n % 7 > 0 THEN a || E' of a "' || b || E'", told\tin ' || n END,
    1960 + n * 31 % 60, 1 + n % 6, 3 + n % 5, (n % 5 + 0.99), nullif(46 + n * 17 % 140, 50), 9.99 + n % 20,
    CASE WHEN n % 11 > 0 THEN (enum_range(null::rating))[1 + n % 5] END, (n % 40) / 8.0,
    CASE WHEN n % 13 > 0 THEN (ARRAY['Trailers', NULL, 'Deleted Scenes', 'Café', ''])[1:n % 6] END,
    CASE WHEN n % 3 > 0 THEN ARRAY[n, -n, NULL] END,
    CASE WHEN n % 4 > 0 THEN decode(repeat(md5(n::text), n % 9), 'hex') END, md5('film' || n)::uuid,
    to_tsvector('simple', a || ' ' || b),
    timestamp '2013-05-26 14:50:58.951' + n * interval '61.007 seconds'
FROM (SELECT n, (ARRAY['chamber', 'ace', 'affair', 'agent', 'über', 'alamo', 'naïve'])[1 + n % 7] a,
    (ARRAY['goldfinger', 'prejudice', 'truman', 'holes', 'airport', 'l''été', 'sens', 'moon', 'wolf'])[1 + n % 9] b
    FROM generate_series(1, 1200) n) names;

CREATE TABLE customer (
    customer_id integer PRIMARY KEY,
    first_name varchar(45) NOT NULL,
    last_name varchar(45) NOT NULL,
    email mail_address,
    active boolean,
    balance numeric(12,4) NOT NULL,
    born date,
    seen inet,
    preferences jsonb,
    note json,
    flags bit(8) NOT NULL,
    calls_at time,
    patience interval,
    created timestamptz NOT NULL
);
INSERT INTO customer
SELECT n, 'First' || n % 300, 'Last' || n * 7 % 900, CASE WHEN n % 10 > 0 THEN 'customer' || n || '@example.org' END,
    nullif(n % 3, 2) = 0, (n * 7919 % 2000003 - 1000001) / 10000.0, date '1940-01-01' + n * 37 % 24000,
    inet '10.0.0.0' + n, jsonb_build_object('n', n, 'tags', jsonb_build_array(n % 2 = 0, null, 'é')),
    CASE WHEN n % 2 > 0 THEN ('{"b" : ' || n || ',  "a":1.50}')::json END, (n % 256)::bit(8),
    time '00:00:00' + n * interval '7.5 seconds', make_interval(years => n % 3, months => n % 30, days => -n % 50, secs => n / 4.0),
    timestamptz '2005-02-14 22:04:36+00' + n * interval '1 hour 0.123456 seconds'
FROM generate_series(1, 6000) n;

CREATE TABLE inventory (
    inventory_id integer PRIMARY KEY,
    film_id integer NOT NULL REFERENCES film,
    store_id smallint NOT NULL
);
INSERT INTO inventory SELECT n, 1 + n * 13 % 1200, 1 + n % 2 FROM generate_series(1, 5000) n;

CREATE TABLE rental (
    rental_id bigint PRIMARY KEY,
    rental_date timestamp NOT NULL,
    inventory_id integer NOT NULL REFERENCES inventory,
    customer_id integer NOT NULL REFERENCES customer,
    return_date timestamp,
    staff_id smallint NOT NULL
);
INSERT INTO rental
SELECT n, timestamp '2005-05-24 22:53:30' + n * interval '97 seconds', 1 + n * 101 % 5000, 1 + n * 7919 % 6000,
    CASE WHEN n % 17 > 0 THEN timestamp '2005-05-26 22:04:30' + n * interval '101 seconds' END, 1 + n % 2
FROM generate_series(1, 30000) n;

CREATE TABLE payment (
    payment_id bigint NOT NULL,
    customer_id integer NOT NULL,
    rental_id bigint,
    amount numeric(5,2) NOT NULL,
    exact numeric,
    payment_date timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_early PARTITION OF payment FOR VALUES FROM (MINVALUE) TO ('2022-02-01');
CREATE TABLE payment_middle PARTITION OF payment FOR VALUES FROM ('2022-02-01') TO ('2022-03-15');
CREATE TABLE payment_late PARTITION OF payment DEFAULT;
INSERT INTO payment
SELECT n, 1 + n * 7919 % 6000, nullif(n, n / 9 * 9), n % 1200 / 100.0 - 1, CASE WHEN n % 5 > 0 THEN n / 7.0 END,
    timestamptz '2022-01-01 00:00:00.000001+00' + n * interval '4 minutes'
FROM generate_series(1, 30000) n;

CREATE TABLE nothing (id integer PRIMARY KEY, words text, marks text[]);

CREATE VIEW film_list AS
SELECT f.film_id AS "FID", f.title, l.name AS language, f.rental_rate AS price, f.rating,
    count(i.inventory_id) AS copies, string_agg(i.store_id::text, ',' ORDER BY i.inventory_id) AS stores
FROM film f JOIN language l USING (language_id) LEFT JOIN inventory i USING (film_id)
GROUP BY f.film_id, l.name;
CREATE VIEW sales AS
SELECT date_trunc('month', payment_date AT TIME ZONE 'UTC') AS month, count(*) AS payments, sum(amount) AS total
FROM payment GROUP BY 1;
CREATE MATERIALIZED VIEW late AS SELECT * FROM rental WHERE return_date IS NULL;
ANALYZE;
