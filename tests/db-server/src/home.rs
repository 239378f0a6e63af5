//! The folder of a server and the account that it runs under.
//!
//! Under root that account is `nobody`, who owns the folder; else it is our own. The folder is called
//! `boathouse-db-...` and nobody else can look into it.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A user and a group.
type Account = (u32, u32);

/// Where a server lives.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    /// Of the server, when it is not ours.
    account: Option<Account>,
}

impl Home {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("boathouse-db-").tempdir()?;
        let root = folder.path().metadata()?.uid() == 0;
        let account = root.then(nobody).transpose()?;
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group))?;
        }
        Ok(Self { folder, account })
    }

    /// The path of a file of the server's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that runs as the server does, in its folder and speaking English.
    #[must_use]
    pub fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("LC_ALL", "C");
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    /// Writes a file that only the server can read, and returns its path.
    ///
    /// # Errors
    /// When the disk refuses it, or its path is no text.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        let path = self.path(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = self.account {
            chown(&path, Some(user), Some(group))?;
        }
        text(&path)
    }
}

/// Runs a program to its end.
pub(crate) fn complete(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy();
    let [out, err] = [output.stdout, output.stderr].map(|said| {
        let said = String::from_utf8_lossy(&said);
        said.trim().to_owned()
    });
    Err(io::Error::other(format!("{program} failed: {out} {err}")))
}

/// A path as the text that settings want.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| io::Error::other("the folder for temporary files must have a UTF-8 name"))
}

/// Folders where programs may be: that of a variable of the environment alone, or the path and then others.
pub(crate) fn folders(variable: &str, others: &[&str]) -> Vec<PathBuf> {
    if let Some(folder) = env::var_os(variable) {
        return vec![folder.into()];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::split_paths(&path);
    path.chain(others.iter().map(PathBuf::from)).collect()
}

/// The first of some programs in the first folder that has it.
pub(crate) fn program(folders: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let mut paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}

fn nobody() -> io::Result<Account> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    // A name, a password, numbers of the user and the group.
    let account = accounts.lines().find_map(|line| {
        let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
        let mut number = || fields.next()?.parse().ok();
        number().zip(number())
    });
    account.ok_or_else(|| {
        io::Error::other("servers do not run as root, and there is no account `nobody`")
    })
}
