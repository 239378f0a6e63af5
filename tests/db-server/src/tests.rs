//! Both servers start, answer, survive being killed, speak TLS, and leave nothing behind.

use std::{
    io::{self, Write as _},
    net::TcpStream,
    path::PathBuf,
};

use crate::{MariaDb, PASSWORD, Postgres, Product, Server, USER};

/// A server, unless this machine has none, which `tests/run` finds out and says.
fn started<P: Product>() -> Option<Server<P>> {
    match Server::start() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let tool = if P::SCHEME == "mysql" {
                "mariadb"
            } else {
                "postgres"
            };
            let without = std::env::var_os("BOATHOUSE_TESTS_WITHOUT").unwrap_or_default();
            let is_known = without
                .to_string_lossy()
                .split(' ')
                .any(|name| name == tool);
            let may_skip = std::env::var_os("BOATHOUSE_TESTS_NO_SKIP").is_none();
            assert!(
                is_known || may_skip,
                "{error}, and BOATHOUSE_TESTS_NO_SKIP is set"
            );
            let _ = writeln!(io::stderr(), "SKIPPED a private {}: {error}", P::NAME);
            None
        }
        server => Some(server.expect("the server starts")),
    }
}

fn check_life<P: Product>(version: &str) {
    let Some(mut server) = started::<P>() else {
        return;
    };
    let said = server.execute("SELECT version();").expect("an answer");
    assert!(said.contains(version), "{said}");
    server.execute("CREATE DATABASE life;").expect("made");
    let table = "CREATE TABLE t (a integer, b varchar(20));";
    let rows = "INSERT INTO t VALUES (1, 'Grüße'), (2, NULL);";
    server
        .execute_in("life", &format!("{table}{rows}"))
        .expect("done");
    let failed = server.execute_in(
        "life",
        "INSERT INTO t VALUES (3, ''); SELECT * FROM absent;",
    );
    assert!(failed.expect_err("no table").to_string().contains("absent"));

    let (port, dsn) = (server.port(), server.dsn("life"));
    assert!(dsn.contains(&format!("://{USER}:{PASSWORD}@127.0.0.1:{port}/life")));
    server.kill();
    TcpStream::connect((server.host(), port)).expect_err("nobody listens");
    server.execute("SELECT 1;").expect_err("nobody answers");
    server.restart().expect("starts again");
    assert_eq!((server.port(), server.dsn("life")), (port, dsn));
    let kept = server.execute_in("life", "SELECT a, b FROM t ORDER BY a;");
    let kept = kept.expect("rows").replace("NULL", "\\N");
    assert_eq!(kept, "1\tGrüße\n2\t\\N\n3\t\n");

    let folder = server.home.path("");
    drop(server);
    assert!(!folder.exists(), "the folder is left behind");
    TcpStream::connect(("127.0.0.1", port)).expect_err("the server is left behind");
}

#[test]
fn a_postgres_lives_and_dies() {
    check_life::<crate::postgres::Programs>("PostgreSQL");
}

#[test]
fn a_mariadb_lives_and_dies() {
    check_life::<crate::mariadb::Programs>("MariaDB");
}

fn identity(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("../../host/server/testdata/tls").join(name)
}

#[test]
fn servers_speak_tls() {
    let [certificate, key] = ["cert.pem", "key.pem"].map(identity);
    if let Some(server) = started() {
        let server: Postgres = server.with_tls(&certificate, &key).expect("TLS");
        assert_eq!(server.execute("SHOW ssl;").expect("an answer"), "on\n");
    }
    if let Some(server) = started() {
        let server: MariaDb = server.with_tls(&certificate, &key).expect("TLS");
        let said = server.execute("SHOW VARIABLES LIKE 'have_ssl';");
        assert_eq!(said.expect("an answer"), "have_ssl\tYES\n");
    }
}

#[test]
fn a_start_that_fails_says_what_the_server_said() {
    if started::<crate::postgres::Programs>().is_none() {
        return;
    }
    let failed = Postgres::start_with(&["shared_buffers=many"]).expect_err("no number");
    assert!(failed.to_string().contains("shared_buffers"), "{failed}");
}
