//! Every type with its edge values, against the text that the server itself gives.

use serde_json::{Value, json};

use super::{columns, ingest, ingested, rows};
use crate::support::{Host, check_failed, db};

/// How a value is shown by the server, and how its JSON is brought into that form.
#[derive(Clone, Copy)]
enum How {
    /// As it is.
    Plain,
    /// As hexadecimal digits of UTF-8.
    Text,
    Flag,
    /// As the number that the bits are.
    Bits,
    /// As the double that it is.
    Float,
    Double,
    Moment,
    Length,
    Bytes,
    Geometry,
    Set,
    Uuid,
    Json,
}

use How::{
    Bits, Bytes, Double, Flag, Float, Geometry, Json, Length, Moment, Plain, Set, Text, Uuid,
};

/// Type at the source, type of the dataset, how it is compared, values.
const TYPES: &[(&str, &str, How, &[&str])] = &[
    ("TINYINT", "Int8", Plain, &["-128", "127", "0"]),
    ("TINYINT UNSIGNED", "UInt8", Plain, &["0", "255"]),
    ("SMALLINT", "Int16", Plain, &["-32768", "32767"]),
    ("SMALLINT UNSIGNED", "UInt16", Plain, &["65535"]),
    ("MEDIUMINT", "Int32", Plain, &["-8388608", "8388607"]),
    ("MEDIUMINT UNSIGNED", "UInt32", Plain, &["16777215"]),
    ("INT", "Int32", Plain, &["-2147483648", "2147483647"]),
    ("INT UNSIGNED", "UInt32", Plain, &["4294967295"]),
    (
        "BIGINT",
        "Int64",
        Plain,
        &["-9223372036854775808", "9223372036854775807"],
    ),
    (
        "BIGINT UNSIGNED",
        "UInt64",
        Plain,
        &["18446744073709551615", "9007199254740993"],
    ),
    ("TINYINT(1)", "Boolean", Flag, &["0", "1"]),
    ("TINYINT(1) UNSIGNED", "UInt8", Plain, &["0", "2", "255"]),
    ("BIT(1)", "Boolean", Flag, &["b'0'", "b'1'"]),
    ("BIT(12)", "UInt64", Bits, &["0", "b'100000000001'"]),
    ("BIT(64)", "UInt64", Bits, &["18446744073709551615"]),
    ("YEAR", "Int16", Plain, &["1901", "2155"]),
    (
        "DECIMAL(10,2)",
        "Decimal128(10, 2)",
        Plain,
        &["-99999999.99", "0.01", "0"],
    ),
    (
        "DECIMAL(38,10)",
        "Decimal128(38, 10)",
        Plain,
        &["9999999999999999999999999999.9999999999"],
    ),
    (
        "DECIMAL(65,30)",
        "Decimal256(65, 30)",
        Plain,
        &[
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001",
        ],
    ),
    (
        "DECIMAL(65,0) UNSIGNED",
        "Decimal256(65, 0)",
        Plain,
        &["99999999999999999999999999999999999999999999999999999999999999999"],
    ),
    (
        "FLOAT",
        "Float32",
        Float,
        &["3.4028234e38", "-1.17549435e-38", "0.1"],
    ),
    (
        "DOUBLE",
        "Float64",
        Double,
        &["1.7976931348623157e308", "2.2250738585072014e-308", "0.1"],
    ),
    (
        "DATE",
        "Date32",
        Moment,
        &[
            "'1000-01-01'",
            "'9999-12-31'",
            "'0001-01-01'",
            "'1970-01-01'",
            "'2024-02-29'",
        ],
    ),
    (
        "DATETIME",
        "Timestamp(µs)",
        Moment,
        &[
            "'9999-12-31 23:59:59'",
            "'0001-01-01 00:00:00'",
            "'1969-12-31 23:59:59'",
        ],
    ),
    (
        "DATETIME(6)",
        "Timestamp(µs)",
        Moment,
        &[
            "'9999-12-31 23:59:59.999999'",
            "'1000-01-01 00:00:00.000001'",
        ],
    ),
    (
        "TIMESTAMP NULL",
        "Timestamp(µs, \"UTC\")",
        Moment,
        &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"],
    ),
    (
        "TIMESTAMP(3) NULL",
        "Timestamp(µs, \"UTC\")",
        Moment,
        &["'2021-03-28 01:30:00.123'"],
    ),
    (
        "TIME",
        "Duration(µs)",
        Length,
        &["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'24:00:00'"],
    ),
    (
        "TIME(6)",
        "Duration(µs)",
        Length,
        &["'-838:59:59.999999'", "'-00:00:00.000001'", "'00:00:01.5'"],
    ),
    ("CHAR(5)", "Utf8", Text, &["'ab   '", "''", "'äöü€😀'"]),
    (
        "VARCHAR(20)",
        "Utf8",
        Text,
        &["''", "' a '", "'tab\\tline\\nback\\\\slash'"],
    ),
    ("VARCHAR(20) CHARACTER SET latin1", "Utf8", Text, &["'é¿ÿ'"]),
    ("VARCHAR(20) CHARACTER SET utf16", "Utf8", Text, &["'😀x'"]),
    ("TINYTEXT", "Utf8", Text, &["'tiny'"]),
    ("TEXT", "Utf8", Text, &["REPEAT('ü', 30000)"]),
    ("MEDIUMTEXT", "Utf8", Text, &["REPEAT('abc', 100000)"]),
    ("LONGTEXT", "Utf8", Text, &["'long'"]),
    (
        "JSON",
        "Utf8",
        Json,
        &["'{\"a\": [1, null, \"ü\"]}'", "'1e3'"],
    ),
    ("BINARY(4)", "Binary", Bytes, &["X'00'", "X'FFFEFDFC'"]),
    ("VARBINARY(8)", "Binary", Bytes, &["''", "X'C328'"]),
    ("BLOB", "Binary", Bytes, &["REPEAT(X'00FF', 30000)"]),
    ("LONGBLOB", "Binary", Bytes, &["X'80'"]),
    (
        "ENUM('small','it''s,big','')",
        "Utf8",
        Text,
        &["'small'", "'it''s,big'", "''"],
    ),
    (
        "SET('x','y','z')",
        "List(non-null Utf8)",
        Set,
        &["'x,z'", "''", "'y'"],
    ),
    (
        "POINT",
        "Binary",
        Geometry,
        &[
            "ST_GeomFromText('POINT(1.5 -2)')",
            "ST_GeomFromText('POINT(1 2)', 4326)",
        ],
    ),
    (
        "GEOMETRY",
        "Binary",
        Geometry,
        &["ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"],
    ),
    (
        "UUID",
        "FixedSizeBinary(16)",
        Uuid,
        &[
            "'00112233-4455-6677-8899-aabbccddeeff'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
    (
        "INET6",
        "Utf8",
        Text,
        &["'::1'", "'2001:db8::ff00:42:8329'"],
    ),
    ("INET4", "Utf8", Text, &["'192.168.0.1'"]),
];

impl How {
    /// The server's text of a column.
    fn sql(self, column: &str) -> String {
        match self {
            Self::Plain | Self::Moment | Self::Length | Self::Set | Self::Uuid => {
                format!("CAST({column} AS CHAR)")
            }
            Self::Text | Self::Json => format!("HEX(CONVERT({column} USING utf8mb4))"),
            Self::Flag | Self::Bits => format!("CAST({column} + 0 AS CHAR)"),
            Self::Float | Self::Double => format!("CAST({column} + 0e0 AS CHAR)"),
            Self::Bytes => format!("HEX({column})"),
            Self::Geometry => format!("HEX(ST_AsBinary({column}))"),
        }
    }

    /// The JSON of the dataset in the form of the server, and the server's text where it has to be brought
    /// there, too.
    fn both(self, value: &Value, server: &str) -> (String, String) {
        if value.is_null() {
            return ("NULL".to_owned(), server.to_owned());
        }
        let text = || {
            value
                .as_str()
                .unwrap_or_else(|| panic!("a text: {value}"))
                .to_owned()
        };
        let hex = |text: &str| {
            text.bytes()
                .map(|byte| format!("{byte:02X}"))
                .collect::<String>()
        };
        let ours = match self {
            Self::Text => hex(&text()),
            Self::Flag => u8::from(value.as_bool().expect("a truth value")).to_string(),
            Self::Plain | Self::Bits => value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
            Self::Float => {
                let float = |text: &str| text.parse::<f32>().expect("a number").to_string();
                return (float(&value.to_string()), float(server));
            }
            Self::Double => {
                let double = |text: &str| text.parse::<f64>().expect("a number").to_string();
                return (double(&value.to_string()), double(server));
            }
            Self::Moment => return (moment(&text()), moment(server)),
            Self::Length => return (seconds(&text()), seconds(server)),
            Self::Bytes | Self::Geometry => text().to_uppercase(),
            Self::Set => {
                let members = value.as_array().expect("members").iter();
                let members: Vec<_> = members
                    .map(|member| member.as_str().expect("text"))
                    .collect();
                members.join(",")
            }
            Self::Uuid => return (text(), server.to_owned()),
            Self::Json => {
                let bytes = (0..server.len()).step_by(2);
                let bytes =
                    bytes.map(|at| u8::from_str_radix(&server[at..at + 2], 16).expect("hex"));
                let parsed: Value =
                    serde_json::from_slice(&bytes.collect::<Vec<_>>()).expect("JSON");
                return (value.to_string(), parsed.to_string());
            }
        };
        (ours, server.to_owned())
    }
}

/// Without the marks of ISO 8601 and zeros at the end of a fraction.
fn moment(text: &str) -> String {
    let text = text
        .replace('T', " ")
        .replace('Z', "")
        .replace("+00:00", "");
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0'))
            .trim_end_matches('.')
            .to_owned(),
        None => text,
    }
}

/// Of `-838:59:59.5` and of `-PT3020399.5S`, in seconds.
fn seconds(text: &str) -> String {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let micros = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction: i64 = format!("{fraction:0<6}").parse().expect("digits");
        whole.parse::<i64>().expect("digits") * 1_000_000 + fraction
    };
    let length = match text.strip_prefix("PT") {
        None if text == "P0D" => 0,
        Some(iso) => micros(iso.trim_end_matches('S')),
        None => {
            let parts: Vec<_> = text.splitn(3, ':').collect();
            let minutes = parts[0].parse::<i64>().expect("hours") * 60
                + parts[1].parse::<i64>().expect("minutes");
            minutes * 60_000_000 + micros(parts[2])
        }
    };
    (sign * length).to_string()
}

/// A table with a column a type and a row for each value; the last row is all null.
fn edges() -> String {
    let columns = TYPES
        .iter()
        .enumerate()
        .map(|(at, (source, ..))| format!(", c{at} {source}"));
    let mut sql = format!(
        "SET time_zone = '+00:00';\nCREATE TABLE edges (id INT PRIMARY KEY{});\n",
        columns.collect::<String>()
    );
    for row in 0..=most_values() {
        let values = TYPES.iter().map(|(.., values)| match values.get(row) {
            Some(value) => format!(", {value}"),
            None => ", NULL".to_owned(),
        });
        sql += &format!(
            "INSERT INTO edges VALUES ({row}{});\n",
            values.collect::<String>()
        );
    }
    sql
}

fn most_values() -> usize {
    TYPES
        .iter()
        .map(|(.., values)| values.len())
        .max()
        .unwrap_or_default()
}

#[tokio::test]
async fn every_type_keeps_its_edge_values_as_the_server_prints_them() {
    let Some(database) = db::mariadb_with(&edges()).await else {
        return;
    };
    let host = Host::fresh();
    ingested(&host, &database.dsn(), &json!({"table": "edges"})).await;
    let found = columns(&host).await;
    assert_eq!(found[0], "id Int32");
    let rows = rows(&host).await;
    assert_eq!(rows.len(), most_values() + 1);
    for (at, (source, data_type, how, _)) in TYPES.iter().enumerate() {
        assert_eq!(found[at + 1], format!("c{at} {data_type}?"), "{source}");
        let sql = format!(
            "SET time_zone = '+00:00'; SELECT COALESCE({}, 'NULL') FROM edges ORDER BY id",
            how.sql(&format!("c{at}"))
        );
        let server = database.execute(&sql).await;
        for (row, server) in rows.iter().zip(server.lines()) {
            let (ours, theirs) = how.both(&row[format!("c{at}")], server);
            assert_eq!(ours, theirs, "{source}");
        }
    }
}

#[tokio::test]
async fn types_of_the_source_stay_with_the_columns() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (a DECIMAL(10,2) NOT NULL, b VARCHAR(20), c TINYINT(1) UNSIGNED NOT NULL, d INT INVISIBLE);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    ingested(&host, &database.dsn(), &json!({"table": "t"})).await;
    let view = host.read("/datasets/d").await;
    let kept: Vec<_> = view["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            (
                column["source_type"].as_str().unwrap_or_default(),
                column["nullable"] == true,
            )
        })
        .collect();
    assert_eq!(
        kept,
        [
            ("decimal(10,2)", false),
            ("varchar(20)", true),
            ("tinyint(1) unsigned", false),
            ("int(11)", true)
        ]
    );
}

#[tokio::test]
async fn the_older_types_are_there_for_who_asks() {
    let Some(database) = db::mariadb_with(
        "SET sql_mode = ''; CREATE TABLE t (a INT NOT NULL, b BIGINT, c DECIMAL(10,2), d TINYINT(1), e DATE, \
         f TIME(2), g BLOB, h SET('x','y'), i BIT(9), j INT UNSIGNED, k UUID, l DATETIME(3)); \
         INSERT INTO t VALUES (1, 2, 3.25, 1, '0000-00-00', '-30:00:00.5', X'00FF', 'x,y', 257, 4294967295, \
         '00112233-4455-6677-8899-aabbccddeeff', '2021-02-03 04:05:06.7');",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    ingested(
        &host,
        &database.dsn(),
        &json!({"table": "t", "types": "portable"}),
    )
    .await;
    assert_eq!(
        columns(&host).await,
        [
            "a Int32",
            "b Int64?",
            "c Float64?",
            "d Boolean?",
            "e Utf8?",
            "f Utf8?",
            "g Utf8?",
            "h Utf8?",
            "i Utf8?",
            "j Int64?",
            "k Utf8?",
            "l Utf8?"
        ]
    );
    let expected = json!({
        "a": 1, "b": 2, "c": 3.25, "d": true, "e": "0000-00-00", "f": "-30:00:00.50", "g": "00FF", "h": "x,y",
        "i": "257", "j": 4_294_967_295_u32, "k": "00112233-4455-6677-8899-aabbccddeeff",
        "l": "2021-02-03 04:05:06.700"
    });
    assert_eq!(rows(&host).await, [expected]);
}

#[tokio::test]
async fn values_without_a_place_end_the_ingest_or_become_null_and_are_counted() {
    let Some(database) = db::mariadb_with(
        "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, d DATE NOT NULL, m DATETIME(3), f TINYINT(1)); \
         INSERT INTO t VALUES (1, '0000-00-00', '2021-00-00', 1), (2, '2021-01-00', '0000-00-00', 2), \
         (3, '2021-01-02', NULL, 0);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let ended = ingest(&host, &database.dsn(), &json!({"table": "t"})).await;
    check_failed(
        &ended,
        "value_out_of_range",
        &[
            "column `d`",
            "zero dates",
            "`out_of_range` to `null`",
            "`types` to `portable`",
        ],
    );
    let query = json!({"query": "SELECT id, f FROM t ORDER BY id"});
    let ended = ingest(&host, &database.dsn(), &query).await;
    check_failed(
        &ended,
        "value_out_of_range",
        &["column `f`", "other than 0 and 1"],
    );
    super::is_absent(&host).await;
    let what = json!({"table": "t", "out_of_range": "null"});
    let result = ingested(&host, &database.dsn(), &what).await;
    assert_eq!(
        result["table"]["nulled"],
        json!([
            {"column": "d", "values": 2, "what": "zero dates"},
            {"column": "m", "values": 2, "what": "zero dates"},
            {"column": "f", "values": 1, "what": "numbers other than 0 and 1"},
        ])
    );
    assert_eq!(columns(&host).await[1], "d Date32?");
    let rows = rows(&host).await;
    let dates: Vec<_> = rows.iter().map(|row| row["d"].clone()).collect();
    assert_eq!(dates, [Value::Null, Value::Null, json!("2021-01-02")]);
    let flags: Vec<_> = rows.iter().map(|row| row["f"].clone()).collect();
    assert_eq!(flags, [json!(true), Value::Null, json!(false)]);
}

#[tokio::test]
async fn what_is_computed_has_the_type_that_the_server_gives_it() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY, f TINYINT(1), e ENUM('a','b')); \
         INSERT INTO t VALUES (1, 1, 'b'), (2, 0, 'a'), (3, 1, NULL); CREATE VIEW v AS SELECT f, e FROM t;",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let query = "SELECT COUNT(*) n, SUM(f) s, AVG(id) a, MAX(e) e, NULL nothing, NOW(6) at, f + 1 AS next, \
                 (SELECT f FROM t WHERE id = 2) inner_f FROM t WHERE id > 0 GROUP BY f + 1 ORDER BY next";
    ingested(&host, &database.dsn(), &json!({"query": query})).await;
    let found = columns(&host).await;
    let types: Vec<_> = found
        .iter()
        .map(|line| line.trim_end_matches('?'))
        .collect();
    assert_eq!(
        types[..3],
        ["n Int64", "s Decimal128(25, 0)", "a Decimal128(14, 4)"]
    );
    assert_eq!(types[4..6], ["nothing Utf8", "at Timestamp(µs)"]);
    let rows = rows(&host).await;
    let next: Vec<_> = rows.iter().map(|row| row["next"].clone()).collect();
    assert_eq!(next, [json!(1), json!(2)]);
    ingested(&host, &database.dsn(), &json!({"table": "v"})).await;
    assert_eq!(columns(&host).await, ["f Boolean?", "e Utf8?"]);
}
