//! The owner's token: who may read the data folder of a running host may do everything.
//!
//! It is made anew at every start, lies beside the host's address in a file that only the user of the
//! host reads, and is gone when the host stops. So the command line works on its own machine whatever
//! keys there are, and a lost key can always be replaced.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::Token;

const NAME: &str = "host.token";

/// The file with the token; deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnerFile(PathBuf);

impl OwnerFile {
    /// Writes the token of a host that holds `folder`, in place of an earlier host's.
    pub(crate) fn write(folder: &Path, token: &Token) -> io::Result<Self> {
        let path = folder.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        write_private(&path, token.reveal())?;
        Ok(Self(path))
    }
}

impl Drop for OwnerFile {
    fn drop(&mut self) {
        // What stays behind opens nothing: the next host makes another.
        let _ = fs::remove_file(&self.0);
    }
}

/// The token of the host that holds `folder`, for whoever may read it.
pub(crate) fn read(folder: &Path) -> Option<Token> {
    let text = fs::read_to_string(folder.join(NAME)).ok()?;
    Token::parse(&text)
}

/// Writes a new file that nobody but its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_the_users_own_and_goes_with_the_host() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join(NAME), "left by a host that was killed").expect("written");
        let token = Token::fresh_owner().expect("entropy");
        let file = OwnerFile::write(folder.path(), &token).expect("written");
        assert_eq!(read(folder.path()), Some(token));
        let mode = fs::metadata(folder.path().join(NAME))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert_eq!(read(folder.path()), None);
    }
}
