CREATE TABLE narrow (
    l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL,
    l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL,
    l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL,
    l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
    l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber)
);
INSERT INTO narrow
SELECT (seq - 1) DIV 4 + 1, 1 + seq * 7919 % 200000, 1 + seq * 104729 % 10000, 1 + (seq - 1) % 4, 1 + seq % 50,
    (90000 + seq * 7919 % 10000000) / 100, seq % 11 / 100, seq % 9 / 100, SUBSTR('ANR', 1 + seq % 3, 1),
    SUBSTR('OF', 1 + seq % 2, 1), ADDDATE('1992-01-01', seq * 31 % 2500), ADDDATE('1992-01-31', seq * 37 % 2500),
    ADDDATE('1992-02-05', seq * 41 % 2500),
    ELT(1 + seq % 4, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'),
    ELT(1 + seq % 7, 'REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'),
    SUBSTR('{words}', 1 + seq * 7919 % 300, 10 + seq % 34)
FROM seq_1_to_{narrow};
CREATE TABLE wide (
    id bigint PRIMARY KEY, made datetime NOT NULL,
    a text, b text, c text, d text, e text, f text, g text, h text, i text, j text
);
INSERT INTO wide
SELECT seq, ADDDATE('2020-01-01', INTERVAL seq SECOND), {texts}
FROM seq_1_to_{wide};
ANALYZE TABLE narrow, wide;
