//! The plugins of this host: which versions there are, where each serves, and everything that may happen to
//! one between its upload and its end.
//!
//! ```text
//! upload --> checked --> shadow --> active --> retired --> deleted
//!               |                    ^ |         |
//!               +--------------------+ +<--------+   (rollback, or activated again)
//! ```
//!
//! [`Registry`] is the whole. Beneath it, each part knows nothing of the others: the catalogue is what is
//! kept between two starts (`catalogue.rs`) and how it may change (`edit.rs`), the table is what answers
//! calls at present (`table.rs`), the store holds the bytes (`store.rs`), the log what happened
//! ([`EventLog`]), health decides about suspension (`health.rs`), and [`shadow`] runs versions beside those
//! that serve. `upload.rs` and `life.rs` are what clients may ask for, `view.rs` what they see.
//!
//! Invariants: a version never changes; nothing unchecked serves; the catalogue is committed before anything
//! follows it; every change has its events; a call is answered by exactly one version, which the answer
//! names. Absent: removal of bytes that a kill left behind, and leases of plugins by index deletion (a place
//! of an index that is gone stays listed and does nothing).

use boathouse_bundle::Bundled;
use boathouse_storage::StorageError;
use boathouse_types::PluginKind;

use crate::problem::Problem;

mod catalogue;
mod edit;
mod events;
mod health;
mod life;
pub(crate) mod name;
mod registry;
mod report;
pub mod shadow;
mod store;
mod table;
mod upload;
mod view;

pub use catalogue::{State, Suspension};
pub use events::{Event, EventLog, Happened};
pub(crate) use health::Says;
pub use life::{ActivateSpec, Switched, SwitchedPlace, Wish};
pub use name::{Place, PluginId, parse_version};
pub(crate) use registry::refusal;
pub use registry::{Registry, RegistryParts};
pub(crate) use table::{Spot, Turn};
pub use upload::{Upload, Uploaded};
pub use view::{CheckedVersion, PlaceView, PluginView, VersionView};

/// The plugins cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// The bucket failed.
    #[error("plugins cannot be read from or written to the primary bucket")]
    Storage(#[from] StorageError),
    /// A plugin of the house does not load; look at the limits that are set.
    #[error(transparent)]
    Plugin(#[from] boathouse_plugins::PluginError),
    /// The catalogue of plugins cannot be brought up to date.
    #[error("the catalogue of plugins cannot be brought up to date")]
    Catalogue(#[from] Problem),
    /// The binary carries a component of a kind that it does not know.
    #[error("bundled component `{0}` is of an unknown kind")]
    Kind(String),
    /// The binary carries no component of a kind.
    #[error("this binary brings no {0} plugin")]
    Missing(PluginKind),
}

fn kind_of(component: &Bundled) -> Result<PluginKind, PluginsError> {
    PluginKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == component.kind)
        .ok_or_else(|| PluginsError::Kind(component.name.to_owned()))
}
