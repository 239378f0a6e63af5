//! What a plugin says of itself, once, when the host loads it.
//!
//! The kind is missing on purpose: it follows from the export macro, so a plugin cannot claim
//! another one by mistake.

/// Open list of further facts, keyed by snake_case names. Keys that are not known are ignored.
pub type Extra = Vec<(String, String)>;

/// Name, version and claims of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `team/name`, both parts `[a-z0-9][a-z0-9-]*`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence for a list of plugins.
    pub summary: String,
    /// Names of the inputs that the plugin looks at (columns of the trials, settings).
    pub reads: Vec<String>,
    /// The plugin claims that equal inputs give bit-equal outputs; the host tests it.
    pub deterministic: bool,
    /// Further facts.
    pub extra: Extra,
}

impl Description {
    /// A deterministic plugin. `name` is `team/name`; `version` is usually
    /// `env!("CARGO_PKG_VERSION")`; `summary` is one sentence.
    #[must_use]
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            reads: Vec::new(),
            deterministic: true,
            extra: Extra::new(),
        }
    }

    /// Adds names of inputs that the plugin looks at.
    #[must_use]
    pub fn reads<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.reads.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Withdraws the claim that equal inputs give bit-equal outputs.
    #[must_use]
    pub fn not_deterministic(mut self) -> Self {
        self.deterministic = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_kept() {
        let description = Description::new("a/b", "1.2.3", "Does it.")
            .reads(["recall", "memory_bytes"])
            .not_deterministic();
        assert_eq!(description.name, "a/b");
        assert_eq!(description.reads, ["recall", "memory_bytes"]);
        assert!(!description.deterministic);
    }
}
