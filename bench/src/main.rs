//! The bench: what Boathouse does against what its peers do, on the same work in the same run.
//!
//! `cargo run --release -p boathouse-bench -- NAME [--quick] [--rows N] [--data NAME]` prints one line of JSON a row;
//! `bench/setup` prepares the peers and the data first. Each side is a process of its own that answers
//! one JSON line with another, so that rounds interleave and neither side's memory is the other's. A
//! result is the ratio of two figures of the same round; absolute figures stand beside it.
//!
//! Nothing here fails because something was slow, and nothing decides what a good figure is: the bars
//! come from the specification and are printed with each row.

mod client;
mod compare;
mod data;
mod demo;
mod host;
mod ingest;
mod lance;
mod lance_hnsw;
mod models;
mod ours;
mod p1;
mod p10;
mod p12;
mod p13;
mod p2;
mod p3;
mod p4;
mod p5;
mod p6;
mod p7;
mod p9;
mod process;
mod s10;
mod s22;
mod storage;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use data::{Collection, Split};

const USAGE: &str = "usage: boathouse-bench p1|p2|p3|p4|p5|p6|p7|p8|p9|p10|p12|p13|s10|s22|models|lance-hnsw|files|memory|append|commit|journal|all [--quick] [--rows N] [--data glove|texts|mixture]";

/// How much work to do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Few rounds over little data: shows that everything runs, proves nothing.
    quick: bool,
    /// Vectors to index in P1 and P2, trials of the journal, or rows to ingest, instead of what they take by
    /// themselves.
    rows: Option<usize>,
    /// The only collection that P1, P2 and `lance-hnsw` take their vectors from, instead of one after the other.
    data: Option<Collection>,
}

impl Options {
    fn rounds(self) -> usize {
        if self.quick { 5 } else { 7 }
    }

    fn rows(self, full: usize, quick: usize) -> usize {
        self.rows.unwrap_or(if self.quick { quick } else { full })
    }

    /// Calls for each collection and size that P1 and P2 are to run over: a tenth, a third and all of the rows unless
    /// their number was given.
    fn for_each_split(self, mut call: impl FnMut(Collection, &Split) -> Result<()>) -> Result<()> {
        let collections = Collection::ALL.into_iter();
        for collection in collections.filter(|&each| self.data.is_none_or(|only| only == each)) {
            let sizes = match self.rows {
                Some(rows) => vec![rows],
                None if self.quick => vec![10_000],
                None => collection.sizes().to_vec(),
            };
            for rows in sizes {
                call(collection, &collection.split(rows, self.quick)?)?;
            }
        }
        Ok(())
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((&name, rest)) = arguments.split_first() else {
        bail!(USAGE);
    };
    if name == ours::COMMAND {
        ours::serve(rest.first().copied().unwrap_or_default())?;
        return Ok(ExitCode::SUCCESS);
    }
    // What the plugin host starts to compile a component.
    if name == "compile-plugin" {
        return Ok(boathouse_plugins::compile_child());
    }
    measure(name, parse(rest)?)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(name: &str, options: Options) -> Result<()> {
    match name {
        "s10" => s10::run(options),
        "s22" => s22::run(options),
        "lance-hnsw" => lance_hnsw::run(options),
        "p1" => p1::run(options),
        "p2" => p2::run(options),
        "p3" => p3::run(options),
        "p4" => p4::run(options),
        "p5" => p5::run(options),
        "p6" => p6::run(options),
        "p7" => p7::run(options),
        "p8" => ingest::tables::run(options),
        "files" => ingest::files::run(options),
        "memory" => ingest::memory::run(options),
        "p9" => p9::run(options),
        "p10" => p10::run(options),
        "p12" => p12::run(options),
        "p13" => p13::run(options),
        "models" => models::run(options),
        "append" => storage::append(options),
        "commit" => storage::commit(options),
        "journal" => storage::journal(options),
        // The short ones first.
        "all" => [
            "commit",
            "journal",
            "append",
            "p5",
            "p6",
            "p7",
            "p12",
            "p13",
            "models",
            "p10",
            "s10",
            "p3",
            "p9",
            "s22",
            "lance-hnsw",
            "p2",
            "p4",
            "files",
            "p8",
            "memory",
            "p1",
        ]
        .into_iter()
        .try_for_each(|name| measure(name, options)),
        _ => bail!(USAGE),
    }
}

fn parse(arguments: &[&str]) -> Result<Options> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            "--quick" => options.quick = true,
            "--rows" => {
                let rows = arguments.next().context(USAGE)?;
                let rows = rows.parse().with_context(|| format!("--rows {rows}"))?;
                options.rows = Some(rows);
            }
            "--data" => {
                let name = arguments.next().context(USAGE)?;
                options.data = Some(Collection::named(name).context(USAGE)?);
            }
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let options = parse(&["--quick", "--rows", "500"]).expect("valid");
        assert!(options.quick);
        assert_eq!(options.rows(100, 10), 500);
        assert_eq!(Options::default().rows(100, 10), 100);
        assert!(parse(&["--rows"]).is_err());
        assert!(parse(&["--rows", "many"]).is_err());
        assert!(parse(&["--fast"]).is_err());
        let data = |name| parse(&["--data", name]).map(|options| options.data);
        assert_eq!(data("texts").expect("valid"), Some(Collection::Texts));
        assert!(data("words").is_err());
    }
}
