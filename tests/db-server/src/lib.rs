//! Private database servers: PostgreSQL and MariaDB, as processes with a port and a folder of their own.
//!
//! [`Server::start`] blocks until the server takes connections on 127.0.0.1. It makes a fresh data folder, with
//! nothing in it but the account [`USER`], which may do everything and needs [`PASSWORD`]. Durability is off:
//! a server that was killed comes back from its log, a machine that lost power does not.
//!
//! A server is gone at the end of the value that holds it, also when a test panics, and at the end of this
//! process, however that ends; its folder goes with it. See `guard`.
//!
//! Servers refuse to run as root. Under root they run as `nobody`, so the folder of temporary files must be
//! open to everybody.
//!
//! Not here: the installation of the programs (`tests/run`), and who shares a server.

mod guard;
mod home;
mod mariadb;
mod postgres;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use guard::Running;
pub use home::Home;
pub use mariadb::Programs as MariaDbPrograms;
pub use postgres::Programs as PostgresPrograms;

/// The account of a server that may do everything.
pub const USER: &str = "boathouse";
/// Its password, which nobody may show.
pub const PASSWORD: &str = "the-words-of-the-sailor";

/// How often a start is tried: another process may take the port before the server does.
const ATTEMPTS: usize = 5;

/// A private PostgreSQL: UTF-8, locale C, time zone UTC.
///
/// Output of [`Server::execute`]: columns between tabs, NULL as `\N`, nothing escaped. What `COPY ... TO STDOUT`
/// writes is part of it.
pub type Postgres = Server<postgres::Programs>;
/// A private MariaDB: utf8mb4, strict as it comes. Its account comes from any address of this machine.
///
/// Output of [`Server::execute`]: columns between tabs, NULL as `NULL`; tab, newline, NUL and backslash are
/// written as `\t`, `\n`, `\0` and `\\`.
pub type MariaDb = Server<mariadb::Programs>;

/// What differs between servers.
pub trait Product: Sized + Send + Sync + 'static {
    /// How it is called in messages.
    const NAME: &str;
    /// The scheme of its URLs.
    const SCHEME: &str;
    /// A database that every server has.
    const DATABASE: &str;
    /// Words of the line in its log that say that it takes connections.
    const READY: &str;

    /// Looks for the programs.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] with words that say what is missing.
    fn find() -> io::Result<Self>;

    /// Fills the data folder.
    ///
    /// # Errors
    /// When the program that does it fails.
    fn install(&self, home: &Home) -> io::Result<()>;

    /// The server, in the foreground, logging to standard error. A setting is `name=value`.
    fn server(&self, home: &Home, port: u16, settings: &[String]) -> Command;

    /// Settings for TLS with files in its home.
    fn tls(home: &Home, certificate: &str, key: &str) -> Vec<String>;

    /// A client that runs the statements of its standard input and stops at the first error.
    fn client(&self, port: u16, database: &str) -> Command;
}

/// A running server.
#[derive(Debug)]
pub struct Server<P> {
    /// Before `home`, so that it ends before its folder goes.
    running: Option<Running>,
    programs: P,
    home: Home,
    port: u16,
    settings: Vec<String>,
}

impl<P: Product> Server<P> {
    /// Starts a server.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when this machine lacks the programs; else when it does not start, with
    /// what the server said.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of its own, each `name=value`; a later one of a name counts.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(settings: &[&str]) -> io::Result<Self> {
        let mut server = Self {
            running: None,
            programs: P::find()?,
            home: Home::new()?,
            port: 0,
            settings: settings.iter().map(ToString::to_string).collect(),
        };
        server.programs.install(&server.home)?;
        for attempt in 1.. {
            server.port = free_port()?;
            match server.run() {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
        Ok(server)
    }

    /// The same server on the same port, which speaks TLS too from now on. Both files are PEM.
    ///
    /// # Errors
    /// When a file cannot be read, or as [`Self::start`].
    pub fn with_tls(mut self, certificate: &Path, key: &Path) -> io::Result<Self> {
        let certificate = self.home.write("tls.crt", &fs::read(certificate)?)?;
        let key = self.home.write("tls.key", &fs::read(key)?)?;
        self.settings.extend(P::tls(&self.home, &certificate, &key));
        self.restart()?;
        Ok(self)
    }

    /// Ends the server the hard way, with all that it serves at that moment.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it again on its folder and its port; kills it first, if it runs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.run()
    }

    /// The address that it listens on.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL of a database, with the password.
    #[must_use]
    pub fn dsn(&self, database: &str) -> String {
        let (scheme, host, port) = (P::SCHEME, self.host(), self.port);
        format!("{scheme}://{USER}:{PASSWORD}@{host}:{port}/{database}")
    }

    /// Runs statements in the database that every server has, and returns what they print.
    ///
    /// # Errors
    /// As [`Self::execute_in`].
    pub fn execute(&self, sql: &str) -> io::Result<String> {
        self.execute_in(P::DATABASE, sql)
    }

    /// Runs statements in a database, and returns what they print.
    ///
    /// # Errors
    /// What the server says to the first statement that fails; those before it have been done.
    pub fn execute_in(&self, database: &str, sql: &str) -> io::Result<String> {
        let mut client = self.programs.client(self.port, database);
        client.stdin(Stdio::piped());
        client.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn()?;
        let (input, sql) = (client.stdin.take(), sql.to_owned());
        // Beside the reading: a client may print before it has read everything.
        let writing = thread::spawn(move || {
            // A client that stopped at an error reads no further.
            input.map(|mut input| input.write_all(sql.as_bytes()))
        });
        let output = client.wait_with_output()?;
        let _ = writing.join();
        if output.status.success() {
            return String::from_utf8(output.stdout).map_err(io::Error::other);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(said.trim_end().to_owned()))
    }

    fn run(&mut self) -> io::Result<()> {
        let (home, port) = (&self.home, self.port);
        let server = self.programs.server(home, port, &self.settings);
        self.running = Some(Running::start::<P>(home, &server)?);
        Ok(())
    }
}

/// A port that nobody listens on.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
