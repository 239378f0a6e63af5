//! MariaDB: which programs, and how they are called.
//!
//! The programs read no configuration of the machine. The account is made again at each start, from a file that
//! the server reads before it takes connections.

use std::{io, path::PathBuf, process::Command};

use crate::{
    PASSWORD, Product, USER,
    home::{self, Home, complete},
};

/// Where servers are that are in no user's path.
const FOLDERS: [&str; 4] = [
    "/usr/sbin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
];
/// In the order of the command line; what a caller sets comes after.
const SETTINGS: [&str; 16] = [
    "bind-address=127.0.0.1",
    "skip-name-resolve",
    "skip-log-bin",
    "character-set-server=utf8mb4",
    "performance-schema=OFF",
    "max-connections=100",
    "max-allowed-packet=1G",
    "key-buffer-size=4M",
    "aria-pagecache-buffer-size=8M",
    "innodb-buffer-pool-size=64M",
    "innodb-log-file-size=96M",
    "innodb-flush-log-at-trx-commit=2",
    "innodb-flush-method=nosync",
    "innodb-doublewrite=OFF",
    "innodb-stats-persistent=ON",
    "innodb-use-native-aio=OFF",
];

/// The programs of one release.
#[derive(Debug)]
pub struct Programs {
    install: PathBuf,
    server: PathBuf,
    client: PathBuf,
}

impl Product for Programs {
    const NAME: &str = "MariaDB";
    const SCHEME: &str = "mysql";
    const DATABASE: &str = "mysql";
    const READY: &str = "ready for connections";

    fn find() -> io::Result<Self> {
        let folders = home::folders("BOATHOUSE_MARIADB_BIN", &FOLDERS);
        let program = |names: [&str; 2]| {
            home::program(&folders, &names).ok_or_else(|| {
                let missing = format!(
                    "{} is in no folder of the path or BOATHOUSE_MARIADB_BIN",
                    names[0]
                );
                io::Error::new(io::ErrorKind::NotFound, missing)
            })
        };
        Ok(Self {
            install: program(["mariadb-install-db", "mysql_install_db"])?,
            server: program(["mariadbd", "mysqld"])?,
            client: program(["mariadb", "mysql"])?,
        })
    }

    fn install(&self, home: &Home) -> io::Result<()> {
        let account = format!("'{USER}'@'127.0.0.1'");
        // A statement a line.
        let accounts = format!(
            "CREATE OR REPLACE USER {account} IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n\
             DROP USER IF EXISTS ''@'localhost';\n"
        );
        home.write("accounts.sql", accounts.as_bytes())?;
        let mut install = home.command(self.install.as_os_str());
        install.arg("--no-defaults");
        install.arg(option("datadir", home, "data"));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.args(["--skip-name-resolve", "--innodb-flush-method=nosync"]);
        complete(install.arg("--innodb-log-file-size=96M"))
    }

    fn server(&self, home: &Home, port: u16, settings: &[String]) -> Command {
        let mut server = home.command(self.server.as_os_str());
        server.arg("--no-defaults");
        for (name, file) in [
            ("datadir", "data"),
            ("tmpdir", ""),
            ("socket", "server.sock"),
            ("pid-file", "server.pid"),
            ("init-file", "accounts.sql"),
        ] {
            server.arg(option(name, home, file));
        }
        let own = [format!("port={port}")];
        let fixed = SETTINGS.map(str::to_owned);
        for setting in fixed.iter().chain(&own).chain(settings) {
            server.arg(format!("--{setting}"));
        }
        server
    }

    fn tls(_: &Home, certificate: &str, key: &str) -> Vec<String> {
        vec![format!("ssl-cert={certificate}"), format!("ssl-key={key}")]
    }

    fn client(&self, port: u16, database: &str) -> Command {
        let mut client = Command::new(&self.client);
        client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]);
        client.args([format!("--port={port}"), format!("--user={USER}")]);
        client.args(["--default-character-set=utf8mb4", "--local-infile=1"]);
        client.args(["--batch", "--skip-column-names", "--quick", database]);
        client.env("MYSQL_PWD", PASSWORD);
        client
    }
}

/// An option that names a file of the server's.
fn option(name: &str, home: &Home, file: &str) -> String {
    format!("--{name}={}", home.path(file).display())
}
