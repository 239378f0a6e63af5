//! Whole databases come over: every table, partition, view and a join, as the server itself sums them up.
//!
//! Three schemas. `rental` is a shop in the manner of Sakila and `staff` a company in the manner of the employees
//! database, both made by the scripts in `samples/` inside the server, 450,000 rows on each. TPC-H's tables are
//! filled by `tpchgen-cli`, which `tests/run` installs. Beside them stand the servers' own catalogues.
//!
//! A table is compared by its [`Summary`]: what the server computes over its values as text, and what is
//! computed here from the Parquet files of the dataset.

mod landed;
mod source;

use std::{path::PathBuf, process::Command};

use boathouse_db_server::Product;
use serde_json::{Value, json};

use crate::support::{
    Host,
    db::{self, Database},
    lacking, program,
};
use source::{Dialect, MARIADB, POSTGRES};

/// Tables of TPC-H.
const TPCH: [&str; 8] = [
    "region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem",
];
/// Tables and views of `rental` that are alike on both servers.
const RENTAL: [&str; 9] = [
    "language",
    "film",
    "customer",
    "inventory",
    "rental",
    "payment",
    "nothing",
    "film_list",
    "sales",
];
const STAFF: [&str; 6] = [
    "department",
    "employee",
    "salary",
    "title",
    "dept_emp",
    "current_title",
];

/// A table, or a query under the name of a view that is the same.
#[derive(Debug, PartialEq)]
struct Summary {
    rows: u64,
    /// Of all rows in any order.
    digest: String,
    columns: Vec<ColumnSummary>,
}

/// A column: its values as text, in the order of their bytes.
#[derive(Debug, PartialEq)]
struct ColumnSummary {
    name: String,
    values: u64,
    distinct: u64,
    least: Option<String>,
    greatest: Option<String>,
    /// Of whole and decimal numbers.
    sum: Option<String>,
}

/// Ingests a table or view into a dataset of its own and compares it with the source.
async fn check<P: Product>(
    host: &Host,
    dialect: &Dialect,
    database: &Database<P>,
    table: &str,
) -> u64 {
    let wish = json!({"table": table});
    check_as(host, dialect, database, table, wish).await
}

async fn check_as<P: Product>(
    host: &Host,
    dialect: &Dialect,
    database: &Database<P>,
    table: &str,
    mut wish: Value,
) -> u64 {
    let dataset = table.replace('.', "-").to_lowercase();
    wish["dataset"] = json!(dataset);
    wish["dsn"] = json!(database.dsn());
    wish["mode"] = json!("replace");
    let report = host.done(dialect.route, &wish).await;
    let theirs = source::summary(dialect, database, table).await;
    assert_eq!(report["rows"], theirs.rows, "{table}: {report}");
    let folder = host
        .data
        .join("primary/datasets")
        .join(&dataset)
        .join("data");
    let mut ours = landed::summary(&folder);
    // A server says for which columns it sums.
    for (ours, theirs) in ours.columns.iter_mut().zip(&theirs.columns) {
        ours.sum
            .take_if(|_| theirs.sum.is_none() && theirs.values > 0);
    }
    assert_eq!(ours, theirs, "{table}");
    theirs.rows
}

#[tokio::test]
async fn a_shop_comes_over_from_postgres() {
    let Some(database) = db::postgres_with(include_str!("samples/rental.postgres.sql")).await
    else {
        return;
    };
    let host = Host::fresh();
    let mut rows = 0;
    for table in RENTAL {
        rows += check(&host, &POSTGRES, &database, table).await;
    }
    for table in ["payment_early", "late"] {
        check(&host, &POSTGRES, &database, table).await;
    }
    assert!(rows > 70_000, "{rows}");
    check_join(&host, &POSTGRES, &database).await;
}

#[tokio::test]
async fn a_shop_comes_over_from_mariadb() {
    let Some(database) = db::mariadb_with(include_str!("samples/rental.mariadb.sql")).await else {
        return;
    };
    let host = Host::fresh();
    for table in RENTAL {
        check(&host, &MARIADB, &database, table).await;
    }
    check_join(&host, &MARIADB, &database).await;
}

/// A query with a join, against a view of the same words.
async fn check_join<P: Product>(host: &Host, dialect: &Dialect, database: &Database<P>) {
    let query = "SELECT c.last_name, f.title, f.rating, r.rental_date, r.return_date, c.balance \
                 FROM rental r JOIN inventory i ON i.inventory_id = r.inventory_id \
                 JOIN film f ON f.film_id = i.film_id JOIN customer c ON c.customer_id = r.customer_id \
                 WHERE r.rental_id % 3 = 0";
    database
        .execute(&format!("CREATE VIEW joined AS {query};"))
        .await;
    let rows = check_as(host, dialect, database, "joined", json!({"query": query})).await;
    assert_eq!(rows, 10_000);
}

#[tokio::test]
async fn a_company_comes_over_from_postgres() {
    let Some(database) = db::postgres_with(include_str!("samples/staff.postgres.sql")).await else {
        return;
    };
    let host = Host::fresh();
    let mut rows = 0;
    for table in STAFF {
        rows += check(&host, &POSTGRES, &database, &format!("staff.{table}")).await;
    }
    assert!(rows > 378_000, "{rows}");
}

#[tokio::test]
async fn a_company_comes_over_from_mariadb() {
    let Some(database) = db::mariadb_with(include_str!("samples/staff.mariadb.sql")).await else {
        return;
    };
    let host = Host::fresh();
    let mut rows = 0;
    for table in STAFF {
        rows += check(&host, &MARIADB, &database, table).await;
    }
    assert!(rows > 378_000, "{rows}");
}

/// The folder of `tpchgen-cli`'s files, one a table, with `|` between columns and after the last.
fn tpch(folder: &std::path::Path) -> Option<()> {
    let target = program();
    let target = target.ancestors().nth(2).expect("target folder");
    let generator = target.join("guest-tools/samples/bin/tpchgen-cli");
    if !generator.is_file() {
        lacking(
            "samples",
            "tables of TPC-H",
            "`tpchgen-cli` is not installed",
        );
        return None;
    }
    let mut generator = Command::new(generator);
    generator
        .args(["--scale-factor", "0.01", "--output-dir"])
        .arg(folder);
    let made = generator.output().expect("it runs");
    assert!(made.status.success(), "{made:?}");
    Some(())
}

/// Statements that fill the tables from the files.
fn loaded(folder: &std::path::Path, load: impl Fn(&str, PathBuf) -> String) -> String {
    let tables = TPCH.iter();
    let loads = tables.map(|table| load(table, folder.join(format!("{table}.tbl"))));
    include_str!("samples/tpch.sql").to_owned() + &loads.collect::<String>()
}

#[tokio::test]
async fn tpch_comes_over_from_postgres() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(()) = tpch(folder.path()) else {
        return;
    };
    // COPY takes no delimiter at the end of a line.
    let statements = loaded(folder.path(), |table, file| {
        let rows = std::fs::read_to_string(file).expect("a table");
        let rows = rows.replace("|\n", "\n");
        format!("COPY {table} FROM STDIN WITH (DELIMITER '|');\n{rows}\\.\n")
    });
    let Some(database) = db::postgres_with(&statements).await else {
        return;
    };
    let host = Host::fresh();
    for table in TPCH {
        check(&host, &POSTGRES, &database, table).await;
    }
}

#[tokio::test]
async fn tpch_comes_over_from_mariadb() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(()) = tpch(folder.path()) else {
        return;
    };
    let statements = loaded(folder.path(), |table, file| {
        let file = file.display();
        format!("LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} FIELDS TERMINATED BY '|';\n")
    });
    let Some(database) = db::mariadb_with(&statements).await else {
        return;
    };
    let host = Host::fresh();
    for table in TPCH {
        check(&host, &MARIADB, &database, table).await;
    }
}

#[tokio::test]
async fn catalogues_of_the_servers_come_over() {
    let host = Host::fresh();
    if let Some(database) = db::postgres_with("").await {
        for table in [
            "pg_aggregate",
            "pg_amop",
            "pg_cast",
            "pg_collation",
            "pg_operator",
            "pg_opclass",
        ] {
            check(&host, &POSTGRES, &database, &format!("pg_catalog.{table}")).await;
        }
    }
    if let Some(database) = db::mariadb_with("").await {
        for table in [
            "help_topic",
            "help_keyword",
            "help_category",
            "help_relation",
        ] {
            check(&host, &MARIADB, &database, &format!("mysql.{table}")).await;
        }
    }
}
