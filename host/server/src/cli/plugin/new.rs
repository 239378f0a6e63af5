//! `boathouse plugin new`: a project for a plugin that builds, with a test of its logic.
//!
//! Everything that the project needs beyond the stock tools of its language comes out of this program:
//! the SDK's sources and the contract are written into the folder. So a project made by this version
//! builds against the contract that this version serves, with no other download than the language's own
//! packages. Nothing is overwritten, and no tool is run.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use boathouse_types::PluginKind;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::local;
use crate::cli::{CliError, Output};

mod templates;

/// Team of a plugin that was given no name.
const TEAM: &str = "my-team";
/// Bytes of one half of a name; both with the slash are within the limit that the host puts on names.
const NAME_BYTES: usize = 60;

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What the plugin decides: proposer, scoring or pii.
    #[arg(long, value_parser = local::kind)]
    kind: PluginKind,
    /// The language that it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// `team/name`; made of the folder's name when left out.
    #[arg(long, value_name = "TEAM/NAME")]
    name: Option<String>,
    /// The folder to write, which must not exist yet or be empty.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// A language with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Built by cargo for wasm32-wasip2.
    Rust,
    /// Built by componentize-py.
    Python,
    /// Built by componentize-js.
    Js,
}

pub(super) fn run(output: &Output, arguments: Arguments) -> Result<(), CliError> {
    let Arguments {
        kind,
        lang,
        name,
        folder,
    } = arguments;
    let name = match name {
        Some(name) => Name::parse(&name)?,
        None => Name::of_folder(&folder)?,
    };
    must_be_free(&folder)?;
    let files = templates::project(lang, kind);
    for file in &files {
        let path = folder.join(&file.path);
        write(&path, &name.fill_in(file.text, kind))?;
    }
    let written: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let done = json!({
        "name": name.to_string(), "kind": kind, "folder": folder.display().to_string(), "files": written,
    });
    output.result(&done, |_| {
        println!("{name}: {} files in {}", written.len(), folder.display());
        println!("next: how to test, build, check and push it is in README.md there");
    });
    Ok(())
}

/// Refuses a folder that holds something.
fn must_be_free(folder: &Path) -> Result<(), CliError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(source) => {
            return Err(CliError::Io {
                what: format!("look into {}", folder.display()),
                source,
            });
        }
    };
    if entries > 0 {
        return Err(CliError::Usage(format!(
            "{} is not empty; name a new folder, since nothing is overwritten",
            folder.display()
        )));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let parent = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    written.map_err(|source| CliError::Io {
        what: format!("write {}", path.display()),
        source,
    })
}

/// A plugin's name, `team/name`, each half `[a-z0-9][a-z0-9-]*`.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    team: String,
    own: String,
}

impl Name {
    fn parse(text: &str) -> Result<Self, CliError> {
        let halves = text.split_once('/');
        let valid = halves.filter(|(team, own)| is_half(team) && is_half(own));
        let (team, own) = valid.ok_or_else(|| {
            CliError::Usage(format!(
                "`{text}` is no name of a plugin; write team/name, each of at most {NAME_BYTES} lower-case letters, digits and hyphens"
            ))
        })?;
        Ok(Self {
            team: team.to_owned(),
            own: own.to_owned(),
        })
    }

    /// The folder's own name in lower case, other characters than letters and digits as hyphens.
    fn of_folder(folder: &Path) -> Result<Self, CliError> {
        let last = folder.components().next_back();
        let own = match last {
            Some(Component::Normal(name)) => name.to_string_lossy().to_lowercase(),
            _ => String::new(),
        };
        let kept = own.replace(
            |c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit(),
            "-",
        );
        let own = kept.trim_matches('-');
        if !is_half(own) {
            return Err(CliError::Usage(format!(
                "no name can be made of the folder `{}`; give one with --name team/name",
                folder.display()
            )));
        }
        Ok(Self {
            team: TEAM.to_owned(),
            own: own.to_owned(),
        })
    }

    /// A template's text with the facts of this project in it.
    fn fill_in(&self, text: &str, kind: PluginKind) -> String {
        text.replace("{{name}}", &self.to_string())
            // Never the name of a crate that the project uses, and never one that starts with a digit.
            .replace("{{package}}", &format!("plugin-{}", self.own))
            .replace("{{kind}}", kind.as_str())
            .replace("{{sdk_version}}", env!("CARGO_PKG_VERSION"))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.team, self.own)
    }
}

fn is_half(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= NAME_BYTES
        && text.bytes().all(inner)
        && !text.is_empty()
        && !text.starts_with('-')
}

#[cfg(test)]
mod tests;
