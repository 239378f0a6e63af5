//! A table of every type and its edge values.

/// How a value is compared with the server's text.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// Letter by letter.
    Text,
    /// As the float that it is.
    Float,
    /// As JSON.
    Json,
}
use How::{Float, Json, Text};

/// A column and what is known of it.
pub(super) struct Column {
    /// The server's type.
    pub(super) kind: &'static str,
    /// How its values are compared.
    pub(super) how: How,
    /// What the server is asked for; `{}` is the column.
    pub(super) asked: &'static str,
    /// How the text of its Arrow type begins.
    pub(super) arrow: &'static str,
    /// Its values, as the server reads them.
    pub(super) values: &'static [&'static str],
}

const fn column(
    kind: &'static str,
    how: How,
    asked: &'static str,
    arrow: &'static str,
    values: &'static [&'static str],
) -> Column {
    Column {
        kind,
        how,
        asked,
        arrow,
        values,
    }
}

const INTERVAL: &str = "(extract(year FROM {}) * 12 + extract(month FROM {}))::bigint || ' ' || extract(day FROM {})::bigint \
     || ' ' || (extract(hour FROM {}) * 3600000000 + extract(minute FROM {}) * 60000000 + extract(microseconds FROM {}))::bigint";

const RANGE: &str = "CASE WHEN {} IS NOT NULL THEN json_build_object('lower', lower({}), 'upper', upper({}), 'lower_inclusive', lower_inc({}), \
     'upper_inclusive', upper_inc({}), 'empty', isempty({})) END";

pub(super) const COLUMNS: &[Column] = &[
    column("boolean", Text, "{}", "Boolean", &["true", "false"]),
    column("smallint", Text, "{}", "Int16", &["-32768", "0", "32767"]),
    column(
        "integer",
        Text,
        "{}",
        "Int32",
        &["-2147483648", "2147483647"],
    ),
    column(
        "bigint",
        Text,
        "{}",
        "Int64",
        &["-9223372036854775808", "9223372036854775807"],
    ),
    column("oid", Text, "{}", "UInt32", &["0", "4294967295"]),
    column(
        "real",
        Float,
        "{}",
        "Float32",
        &[
            "1.1",
            "-0",
            "NaN",
            "Infinity",
            "-Infinity",
            "3.4028235e38",
            "1e-45",
        ],
    ),
    column(
        "double precision",
        Float,
        "{}",
        "Float64",
        &[
            "0.1",
            "-0",
            "NaN",
            "Infinity",
            "1.7976931348623157e308",
            "5e-324",
        ],
    ),
    column(
        "numeric(10,2)",
        Text,
        "{}",
        "Decimal128(10, 2)",
        &["0", "-99999999.99", "99999999.99", "0.01", "1000.10"],
    ),
    column(
        "numeric(38,0)",
        Text,
        "{}",
        "Decimal128(38, 0)",
        &["99999999999999999999999999999999999999", "-1"],
    ),
    column(
        "numeric(38,38)",
        Text,
        "{}",
        "Decimal128(38, 38)",
        &[
            "0.00000000000000000000000000000000000001",
            "-0.99999999999999999999999999999999999999",
        ],
    ),
    column(
        "numeric(60,20)",
        Text,
        "{}",
        "Decimal256(60, 20)",
        &[
            "1234567890123456789012345678901234567890.12345678901234567891",
            "-0.5",
            "0",
        ],
    ),
    column(
        "numeric(5,-2)",
        Text,
        "{}",
        "Decimal128(7, 0)",
        &["1234567", "-50", "49"],
    ),
    column(
        "numeric(3,5)",
        Text,
        "{}",
        "Decimal128(5, 5)",
        &["0.00999", "-0.00001"],
    ),
    column(
        "numeric(200,3)",
        Text,
        "{}",
        "Utf8",
        &[
            "1.1",
            "NaN",
            "-123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890.125",
        ],
    ),
    column(
        "numeric",
        Text,
        "{}",
        "Utf8",
        &[
            "1.10",
            "1e30",
            "NaN",
            "Infinity",
            "-Infinity",
            "-0.0000000000000000000000000000000001",
            "0.00",
            "10000",
            "12345678.90123456789",
        ],
    ),
    column(
        "money",
        Text,
        "({})::numeric",
        "Decimal128(19, 2)",
        &["-12.34", "92233720368547758.07"],
    ),
    column(
        "text",
        Text,
        "{}",
        "Utf8",
        &["", "é漢字👩‍👩‍👧", "a\tb", "back\\slash", "\\N", "null", "'"],
    ),
    column(
        "varchar(20)",
        Text,
        "{}",
        "Utf8",
        &["twenty characters wide", "x"],
    ),
    column("char(5)", Text, "{}", "Utf8", &["ab", ""]),
    column("\"char\"", Text, "{}", "Utf8", &["a", ""]),
    column("name", Text, "{}", "Utf8", &["a name"]),
    column(
        "bytea",
        Text,
        "{}",
        "Binary",
        &["\\x", "\\x00ff5c27", "\\xdeadbeef"],
    ),
    column(
        "date",
        Text,
        "{}",
        "Date32",
        &[
            "0001-01-01",
            "1969-12-31",
            "2000-02-29",
            "9999-12-31",
            "12345-01-01",
        ],
    ),
    column(
        "time",
        Text,
        "{}",
        "Time64(µs)",
        &["00:00:00", "23:59:59.999999", "12:30:00.5"],
    ),
    column(
        "timetz",
        Text,
        "{}",
        "Utf8",
        &[
            "00:00:00+00",
            "23:59:59.999999-15:59:59",
            "24:00:00+05:30",
            "12:00:00.1-03",
        ],
    ),
    column(
        "timestamp",
        Text,
        "{}",
        "Timestamp(µs)",
        &[
            "0001-01-01 00:00:00",
            "1969-12-31 23:59:59.999999",
            "2024-03-31 02:30:00",
            "9999-12-31 23:59:59.999999",
            "200000-01-01 00:00:00",
        ],
    ),
    column(
        "timestamptz",
        Text,
        "{}",
        "Timestamp(µs, \"UTC\")",
        &[
            "0001-01-01 00:00:00+00",
            "2024-03-31 02:30:00+02",
            "2024-01-01 00:00:00.000001-08",
        ],
    ),
    column(
        "interval",
        Text,
        INTERVAL,
        "Struct",
        &[
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 mons +1 day -00:00:00.000001",
            "0",
            "178000000 years",
            "2562047788:00:54.775807",
        ],
    ),
    column(
        "uuid",
        Text,
        "{}",
        "FixedSizeBinary(16)",
        &[
            "00000000-0000-0000-0000-000000000000",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ],
    ),
    column(
        "json",
        Text,
        "{}",
        "Utf8",
        &["{\"b\": 1,  \"a\": [null, 1.50]}", "\"text\"", "null"],
    ),
    column(
        "jsonb",
        Text,
        "{}",
        "Utf8",
        &[
            "{\"b\": 1, \"a\": [null, 1.50]}",
            "12345678901234567890.123",
        ],
    ),
    column(
        "xml",
        Text,
        "{}",
        "Utf8",
        &["<a>é &amp; b</a>", "just text"],
    ),
    column("mood", Text, "{}", "Utf8", &["sad", "happy, or so"]),
    column("whole", Text, "{}", "Int32", &["1", "7"]),
    column(
        "cents",
        Text,
        "{}",
        "Decimal128(12, 2)",
        &["1.50", "-9999999999.99"],
    ),
    column("bit(1)", Text, "{}", "Boolean", &["0", "1"]),
    column("bit(10)", Text, "{}", "Utf8", &["1010000001"]),
    column("varbit", Text, "{}", "Utf8", &["", "1", "101010101"]),
    column(
        "inet",
        Text,
        "{}",
        "Utf8",
        &[
            "10.0.0.1",
            "10.0.0.1/8",
            "::1",
            "::",
            "2001:db8::1",
            "::ffff:1.2.3.4",
            "1:0:0:2:0:0:0:3/64",
            "::1.2.3.4",
        ],
    ),
    column(
        "cidr",
        Text,
        "{}",
        "Utf8",
        &["10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32"],
    ),
    column("macaddr", Text, "{}", "Utf8", &["08:00:2b:01:02:ff"]),
    column("macaddr8", Text, "{}", "Utf8", &["08:00:2b:01:02:03:04:ff"]),
    column(
        "integer[]",
        Json,
        "to_json({})",
        "List",
        &["{}", "{1,NULL,-3}", "{NULL}"],
    ),
    column(
        "integer[][]",
        Json,
        "to_json({})",
        "List",
        &["{{1,2},{3,NULL}}", "{}"],
    ),
    column(
        "text[]",
        Json,
        "to_json({})",
        "List",
        &["{\"a,b\",\"\",NULL,\"NULL\",\"\\\"\"}"],
    ),
    column(
        "numeric(6,2)[]",
        Json,
        "to_json({}::text[])",
        "List",
        &["{1.10,NULL,-9999.99}"],
    ),
    column(
        "uuid[]",
        Json,
        "to_json({})",
        "List",
        &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
    ),
    column(
        "date[]",
        Json,
        "to_json({})",
        "List",
        &["{2024-02-29,NULL}"],
    ),
    column(
        "inet[]",
        Json,
        "to_json({})",
        "List",
        &["{10.0.0.1,::1/64}"],
    ),
    column(
        "point[]",
        Json,
        "to_json({}::text[])",
        "List",
        &["{\"(1,2)\",NULL}"],
    ),
    column("mood[]", Json, "to_json({})", "List", &["{sad,NULL}"]),
    column("whole[]", Json, "to_json({})", "List", &["{1,2}"]),
    column(
        "place",
        Json,
        "row_to_json({})",
        "Struct",
        &["(\"Main St, 1\",12,\"{sad,\"\"happy, or so\"\"}\")", "(,,)"],
    ),
    column(
        "place[]",
        Json,
        "to_json({})",
        "List",
        &["{\"(a,1,)\",NULL}"],
    ),
    column(
        "int4range",
        Json,
        RANGE,
        "Struct",
        &["[1,5)", "(,5)", "[1,)", "(,)", "empty"],
    ),
    column(
        "daterange",
        Json,
        RANGE,
        "Struct",
        &["[2024-01-01,2024-02-01)"],
    ),
    column(
        "int4multirange",
        Json,
        "(SELECT json_agg(json_build_object('lower', lower(r), 'upper', upper(r), 'lower_inclusive', lower_inc(r), 'upper_inclusive', upper_inc(r), 'empty', isempty(r))) FROM unnest({}) r)",
        "List",
        &["{[1,3),[5,)}"],
    ),
    column(
        "hstore",
        Json,
        "hstore_to_json({})",
        "Map",
        &["", "a=>1, b=>NULL, \"c d\"=>\"e\\\"f\""],
    ),
    column("citext", Text, "{}", "Utf8", &["MiXed"]),
    column("ltree", Text, "{}", "Utf8", &["top.science.astronomy"]),
    column(
        "tsvector",
        Text,
        "{}",
        "Utf8",
        &["'a':1A 'fat':2B,4C 'quo''te'"],
    ),
    column(
        "tsquery",
        Text,
        "{}",
        "Utf8",
        &["'fat' & ( 'rat' | 'cat':B )"],
    ),
    column("point", Text, "{}", "Utf8", &["(1.5,-2)"]),
    column("box", Text, "{}", "Utf8", &["(2,2),(0,0)"]),
    column("polygon", Text, "{}", "Utf8", &["((0,0),(1,1),(2,0))"]),
    column("pg_lsn", Text, "{}", "Utf8", &["16/B374D848"]),
    column("regclass", Text, "{}", "Utf8", &["pg_class"]),
    column("int2vector", Text, "{}", "Utf8", &["1 2 3"]),
    column("tid", Text, "{}", "Utf8", &["(3,4)"]),
    column("xid", Text, "{}", "Utf8", &["4294967295"]),
];

pub(super) const TYPES: &str = "
    CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
    CREATE TYPE mood AS ENUM ('sad', 'happy, or so');
    CREATE DOMAIN whole AS int CHECK (VALUE > 0);
    CREATE DOMAIN cents AS numeric(12,2);
    CREATE TYPE place AS (street text, number int, moods mood[]);";

/// A table of all columns with all values, a row of nulls last.
pub(super) fn everything() -> String {
    let rows = 1 + COLUMNS
        .iter()
        .map(|column| column.values.len())
        .max()
        .unwrap_or(0);
    let columns: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(at, column)| format!("c{at} {}", column.kind))
        .collect();
    let value = |column: &Column, row: usize| match column.values.get(row) {
        Some(text) => format!("'{}'::{}", text.replace('\'', "''"), column.kind),
        None => "NULL".to_owned(),
    };
    let row = |row: usize| {
        let values: Vec<String> = COLUMNS.iter().map(|column| value(column, row)).collect();
        format!("({row}, {})", values.join(", "))
    };
    let values: Vec<String> = (0..rows).map(row).collect();
    format!(
        "{TYPES} CREATE TABLE everything (id int PRIMARY KEY, {}); INSERT INTO everything VALUES {};",
        columns.join(", "),
        values.join(", ")
    )
}
