//! What a caller says about a file; what is left out is found out.

/// What is said about how a file is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileOptions {}
