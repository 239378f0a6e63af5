//! A document of a profile, by its index and id: what a citation leads to.

use boathouse_models::ProfileId;
use boathouse_types::IndexName;
use serde::Serialize;
use serde_json::{Map, Value};

use super::search::one;
use crate::{
    app::App,
    auth::{Caller, reach},
    indexes,
    problem::Problem,
};

/// A document of a profile.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProfileDocument {
    /// The profile.
    pub profile: ProfileId,
    /// The index.
    pub index: IndexName,
    /// The document.
    pub id: String,
    /// Row of the dataset.
    pub row: u64,
    /// Columns of that row.
    #[schema(value_type = Object)]
    pub columns: Map<String, Value>,
}

/// A document of one of a profile's indexes, as searches of that find it.
///
/// # Errors
/// 403 `out_of_profile` for an index that is not its own; 404 for a profile, an index or a document that is not there; the
/// bucket's failure.
pub(crate) async fn document(
    app: &App,
    caller: &Caller,
    id: &ProfileId,
    (index, document): (&str, &str),
) -> Result<ProfileDocument, Problem> {
    let profile = app.models.profiles.get(id).await?;
    let index = one(app, &profile, index)?;
    reach::may_use_index(app, caller, index.meta.name.as_str())?;
    let found = indexes::document(app, &index, document, None).await?;
    Ok(ProfileDocument {
        profile: profile.id,
        index: index.meta.name.clone(),
        id: found.id,
        row: found.row,
        columns: found.columns,
    })
}
