//! Real short texts as vectors: the glosses of WordNet, embedded by the built-in model.
//!
//! A gloss is what the dictionary says of a meaning, a phrase or two, often with an example. There are about
//! 117,000 of them, each once. They are embedded anew by every run, which takes seconds.

use std::fs;

use anyhow::{Context, Result};
use boathouse_models::StaticEmbedder;

use crate::process;

/// All glosses and their vectors in their order, but for those that the model has no token of.
pub(super) fn embedded() -> Result<Vec<(String, Vec<f32>)>> {
    let path = process::data("glosses.txt")?;
    let texts = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let texts: Vec<&str> = texts.lines().collect();
    let embedder = StaticEmbedder::bundled()?;
    let vectors = texts.iter().zip(embedder.embed_each(&texts));
    let known = vectors.filter_map(|(text, vector)| Some(((*text).to_owned(), vector?)));
    Ok(known.collect())
}
