//! PostgreSQL: which programs, and how they are called.

use std::{fs, io, path::PathBuf, process::Command};

use crate::{
    PASSWORD, Product, USER,
    home::{self, Home, complete},
};

/// Where Debian keeps the programs, in a folder for each release.
const RELEASES: &str = "/usr/lib/postgresql";
/// In the order of the command line; what a caller sets comes after.
const SETTINGS: [&str; 13] = [
    "listen_addresses=127.0.0.1",
    "timezone=UTC",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=512MB",
    "shared_buffers=64MB",
    "max_connections=100",
    "jit=off",
    // `/dev/shm` is small in containers.
    "dynamic_shared_memory_type=mmap",
    "log_checkpoints=off",
    "logging_collector=off",
];

/// The programs of one release.
#[derive(Debug)]
pub struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    psql: PathBuf,
}

impl Product for Programs {
    const NAME: &str = "PostgreSQL";
    const SCHEME: &str = "postgres";
    const DATABASE: &str = "postgres";
    const READY: &str = "database system is ready to accept connections";

    fn find() -> io::Result<Self> {
        let mut folders = home::folders("BOATHOUSE_POSTGRES_BIN", &[]);
        folders.extend(releases());
        let all = |folder: &PathBuf| {
            let program = |name| home::program(std::slice::from_ref(folder), &[name]);
            Some(Self {
                initdb: program("initdb")?,
                postgres: program("postgres")?,
                psql: program("psql")?,
            })
        };
        folders.iter().find_map(all).ok_or_else(|| {
            let missing =
                "initdb, postgres and psql are in no folder of the path or BOATHOUSE_POSTGRES_BIN";
            io::Error::new(io::ErrorKind::NotFound, missing)
        })
    }

    fn install(&self, home: &Home) -> io::Result<()> {
        let password = home.write("password", PASSWORD.as_bytes())?;
        let mut initdb = home.command(self.initdb.as_os_str());
        initdb.arg("--pgdata").arg(home.path("data"));
        initdb.args(["--username", USER, "--pwfile", &password]);
        initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]);
        complete(initdb.arg("--no-sync"))
    }

    fn server(&self, home: &Home, port: u16, settings: &[String]) -> Command {
        let mut server = home.command(self.postgres.as_os_str());
        server.arg("-D").arg(home.path("data"));
        let socket = home.path("").display().to_string();
        let own = [
            format!("port={port}"),
            format!("unix_socket_directories={socket}"),
        ];
        let fixed = SETTINGS.map(str::to_owned);
        for setting in fixed.iter().chain(&own).chain(settings) {
            server.args(["-c", setting]);
        }
        server
    }

    fn tls(_: &Home, certificate: &str, key: &str) -> Vec<String> {
        let settings = ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}")];
        settings
            .into_iter()
            .chain([format!("ssl_key_file={key}")])
            .collect()
    }

    fn client(&self, port: u16, database: &str) -> Command {
        let mut client = Command::new(&self.psql);
        client.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]);
        client.args(["--field-separator=\t", "--pset=null=\\N"]);
        client.args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]);
        client.args(["--host=127.0.0.1", &format!("--port={port}")]);
        client.args([&format!("--username={USER}"), "--dbname", database]);
        client
            .env("PGPASSWORD", PASSWORD)
            .env("PGCLIENTENCODING", "UTF8");
        client.env("PGOPTIONS", "--client-min-messages=warning");
        client
    }
}

/// Folders of Debian's releases, the newest first.
fn releases() -> Vec<PathBuf> {
    let entries = fs::read_dir(RELEASES).into_iter().flatten();
    let number = |folder: PathBuf| {
        let release: u32 = folder.file_name()?.to_str()?.parse().ok()?;
        Some((release, folder.join("bin")))
    };
    let mut releases: Vec<_> = entries
        .filter_map(|entry| number(entry.ok()?.path()))
        .collect();
    releases.sort_unstable_by(|one, other| other.cmp(one));
    releases.into_iter().map(|(_, folder)| folder).collect()
}
