//! Databases for tests: one PostgreSQL and one MariaDB for all tests of this process.
//!
//! Each starts with the first test that asks for it and ends with the process. A [`Database`] is a test's own
//! part of it. A test that kills a server, or sets it up otherwise, starts one for itself with [`own`].
//!
//! The programs are installed by `tests/run`; without them tests say so and pass.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use boathouse_db_server::{MariaDb, MariaDbPrograms, Postgres, PostgresPrograms, Product, Server};
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::lacking;

/// A server that lives as long as this process.
type Shared<P> = OnceCell<Option<&'static Server<P>>>;

/// A database that no other test knows, on a server of everybody.
pub(crate) struct Database<P: 'static> {
    server: &'static Server<P>,
    name: String,
}

/// The PostgreSQL that all tests share, unless this machine has none.
pub(crate) async fn postgres() -> Option<&'static Postgres> {
    static SHARED: Shared<PostgresPrograms> = OnceCell::const_new();
    *SHARED.get_or_init(|| leaked("postgres")).await
}

/// The MariaDB that all tests share, unless this machine has none.
pub(crate) async fn mariadb() -> Option<&'static MariaDb> {
    static SHARED: Shared<MariaDbPrograms> = OnceCell::const_new();
    *SHARED.get_or_init(|| leaked("mariadb")).await
}

/// A PostgreSQL of one's own with settings, each `name=value`, unless this machine has none.
pub(crate) async fn own_postgres(settings: &'static [&str]) -> Option<Postgres> {
    own("postgres", settings).await
}

/// A MariaDB of one's own with settings, each `name=value`, unless this machine has none.
pub(crate) async fn own_mariadb(settings: &'static [&str]) -> Option<MariaDb> {
    own("mariadb", settings).await
}

/// A database on the shared PostgreSQL, in which statements have been run.
pub(crate) async fn postgres_with(sql: &str) -> Option<Database<PostgresPrograms>> {
    Some(Database::with(postgres().await?, sql).await)
}

/// A database on the shared MariaDB, in which statements have been run.
pub(crate) async fn mariadb_with(sql: &str) -> Option<Database<MariaDbPrograms>> {
    Some(Database::with(mariadb().await?, sql).await)
}

impl<P: Product> Database<P> {
    async fn with(server: &'static Server<P>, sql: &str) -> Self {
        static DATABASES: AtomicUsize = AtomicUsize::new(0);
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let create = format!("CREATE DATABASE {name};");
        let made = spawn_blocking(move || server.execute(&create)).await;
        made.expect("no panic").expect("a database");
        let database = Self { server, name };
        database.execute(sql).await;
        database
    }

    /// Its URL, with the password.
    pub(crate) fn dsn(&self) -> String {
        self.server.dsn(&self.name)
    }

    /// Its name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements that must succeed, and returns what they print; see the type of the server.
    pub(crate) async fn execute(&self, sql: &str) -> String {
        let (server, name, sql) = (self.server, self.name.clone(), sql.to_owned());
        let done = spawn_blocking(move || server.execute_in(&name, &sql)).await;
        done.expect("no panic").expect("statements that succeed")
    }
}

/// A server for the rest of this process; it ends with the process, since the shell around it does.
async fn leaked<P: Product>(tool: &str) -> Option<&'static Server<P>> {
    let server = own(tool, &[]).await?;
    Some(Box::leak(Box::new(server)))
}

async fn own<P: Product>(tool: &str, settings: &'static [&str]) -> Option<Server<P>> {
    let started = spawn_blocking(|| Server::start_with(settings)).await;
    match started.expect("no panic") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            lacking(
                tool,
                &format!("ingest from {}", P::NAME),
                &error.to_string(),
            );
            None
        }
        server => Some(server.expect("the server starts")),
    }
}
