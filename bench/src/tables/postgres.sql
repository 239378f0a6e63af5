CREATE TABLE narrow (
    l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL,
    l_linenumber integer NOT NULL, l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL,
    l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL,
    l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
    l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL
);
INSERT INTO narrow
SELECT (n - 1) / 4 + 1, 1 + n * 7919 % 200000, 1 + n * 104729 % 10000, 1 + (n - 1) % 4, 1 + n % 50,
    (90000 + n * 7919 % 10000000) / 100.0, n % 11 / 100.0, n % 9 / 100.0, substr('ANR', (1 + n % 3)::int, 1),
    substr('OF', (1 + n % 2)::int, 1), date '1992-01-01' + (n * 31 % 2500)::int,
    date '1992-01-31' + (n * 37 % 2500)::int, date '1992-02-05' + (n * 41 % 2500)::int,
    (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + n % 4],
    (ARRAY['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[1 + n % 7],
    substr('{words}', (1 + n * 7919 % 300)::int, (10 + n % 34)::int)
FROM generate_series(1::bigint, {narrow}) n;
ALTER TABLE narrow ADD PRIMARY KEY (l_orderkey, l_linenumber);
CREATE TABLE wide (
    id bigint PRIMARY KEY, made timestamp NOT NULL,
    a text, b text, c text, d text, e text, f text, g text, h text, i text, j text
);
INSERT INTO wide
SELECT n, timestamp '2020-01-01' + n * interval '1 second', t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10]
FROM generate_series(1::bigint, {wide}) n, LATERAL (
    SELECT array_agg(CASE WHEN (n + k) % 17 > 0 THEN
        substr('{words}', (1 + n * (7919 + k) % 300)::int, (20 + (n * k) % 60)::int) || n * k END) t
    FROM generate_series(1, 10) k
) texts;
VACUUM ANALYZE;
