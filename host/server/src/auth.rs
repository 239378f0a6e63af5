//! Who may do what: keys, scopes, the owner of the data folder, signatures, and the record of it all.
//!
//! Every request passes one layer. It finds out who calls ([`Caller`]), asks the table in `policy`
//! what the route needs, and only then lets the handler run. While a host listens on loopback and has no
//! key, everybody on the machine may do everything, except that a web page of another origin may not make
//! a browser do it. From the first key on, every route but the probes and the documents asks for one.
//! Whoever may read the data folder may always do everything, so keys lock no operator out.
//!
//! Not here: passwords, the cookies of the console (`console/session.rs`), rights on single columns or rows, and limits on how often somebody asks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::http::{HeaderMap, StatusCode, Uri, header};
use boathouse_storage::{Bucket, StorageError};
use boathouse_types::Clock;

use crate::{
    config::{AuthConfig, ServerConfig},
    problem::Problem,
};

mod audit;
mod caller;
mod keys;
mod layer;
mod owner;
mod policy;
pub(crate) mod reach;
mod scope;
pub mod signature;
mod token;

pub use audit::{Audit, AuditLine, AuditPage};
pub use caller::{Caller, Reach};
pub use keys::{KeySpec, KeyView};
pub(crate) use layer::{Peer, carried, current_caller, in_the_name_of, layer};
pub(crate) use owner::{OwnerFile, read as read_owner_token, write_private};
pub(crate) use policy::permits;
pub use scope::{Scope, ScopeError, Team};
pub use signature::{PublicKey, Signatures};
pub(crate) use token::secret;
pub use token::{NoEntropy, Token};

use keys::{Found, Keys, KeysError};

/// Names in the restriction of one key.
const MOST_NAMES: usize = 1_000;

/// What decides about requests.
pub struct Auth {
    keys: Keys,
    owner: Token,
    /// The record of changes and refusals.
    pub audit: Audit,
    /// Whose uploads must be signed.
    pub signatures: Signatures,
    /// A key is asked for even while there is none.
    always: bool,
    /// Only this machine reaches the host.
    loopback: bool,
    /// The keys could not be read yet, so there may be some: one is asked for.
    doubted: AtomicBool,
}

/// Access cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The keys cannot be read.
    #[error("the keys of this host cannot be read from the primary bucket")]
    Storage(#[from] StorageError),
    /// No token can be made.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// A new key with its text, which nobody can show again.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct NewKey {
    /// The key: keep it, it is shown this once.
    pub key: String,
    /// Whether it is the only one: from now on every request has to show a key.
    pub first: bool,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub view: KeyView,
}

impl Auth {
    /// Reads the keys and makes the owner's token. Where copies stand in for the primary bucket and have no
    /// keys, the bucket itself may have some: until [`Self::refresh`] nobody gets in but its owner.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn open(
        primary: &Bucket,
        server: &ServerConfig,
        config: &AuthConfig,
        clock: &Arc<dyn Clock>,
        stands_in: bool,
    ) -> Result<Self, AuthError> {
        let teams = config.teams.iter();
        let teams = teams.map(|(team, of)| (team.clone(), of.public_key));
        let keys = Keys::new(primary, Arc::clone(clock));
        let read = match stands_in {
            true => keys.read_copy().await,
            false => keys.read().await,
        };
        let doubted = match read {
            Ok(()) => stands_in && keys.is_empty(),
            Err(StorageError::Unavailable { .. } | StorageError::Denied { .. }) if stands_in => {
                tracing::error!(
                    "no copies of keys can be read: until `primary` is back, only who may read the data folder gets in"
                );
                true
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            keys,
            owner: Token::fresh_owner()?,
            audit: Audit::open(primary, Arc::clone(clock)),
            signatures: Signatures::new(teams.collect(), config.signatures_required),
            always: config.required,
            loopback: server.bind.is_loopback(),
            doubted: AtomicBool::new(doubted),
        })
    }

    /// Reads the keys again, after the primary bucket was away.
    ///
    /// # Errors
    /// The bucket fails; the keys are as before then.
    pub(crate) async fn refresh(&self) -> Result<(), StorageError> {
        self.keys.read().await?;
        self.doubted.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The owner's token.
    #[must_use]
    pub fn owner_token(&self) -> &Token {
        &self.owner
    }

    /// Whether somebody could administer this host over the network: it may listen beyond loopback.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.keys.has_admin()
    }

    /// Whether everybody who reaches the host may do everything.
    fn is_open(&self) -> bool {
        let doubted = self.doubted.load(Ordering::Relaxed);
        self.loopback && !self.always && !doubted && self.keys.is_empty()
    }

    /// Who makes a request, or why nobody may: what the layer of all routes would say.
    ///
    /// # Errors
    /// 401, or 403 for a page of another origin.
    pub(crate) fn who(&self, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
        self.identify(headers, uri).map_err(|(_, problem)| problem)
    }

    /// Who makes a request.
    ///
    /// # Errors
    /// 401, or 403 for a page of another origin, with the name for the audit log.
    fn identify(&self, headers: &HeaderMap, uri: &Uri) -> Result<Caller, (String, Problem)> {
        let unknown = |problem| ("unknown".to_owned(), problem);
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            if !self.is_open() {
                return Err(unknown(unauthorized(
                    "key_needed",
                    "this host asks for a key; send `Authorization: Bearer bh_...` (`--key-file FILE` on the command line); whoever may read its data folder needs none: `boathouse --data DIR ...` on its machine",
                )));
            }
            if is_foreign(headers, uri) {
                return Err(unknown(foreign()));
            }
            return Ok(Caller::anonymous());
        };
        let text = value.to_str().unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Token::parse(token.trim())
            }
            _ => None,
        };
        let found = match token {
            Some(token) if token.is_owner() => {
                if token.hash().is(&self.owner.hash().to_hex()) {
                    return Ok(Caller::owner());
                }
                Found::Unknown
            }
            Some(token) => self.keys.find(&token),
            None => Found::Unknown,
        };
        match found {
            Found::Caller(caller) => Ok(caller),
            Found::Expired { caller, end } => Err((
                caller.name().to_owned(),
                unauthorized(
                    "key_expired",
                    &format!("this key expired on {end}; have another made"),
                ),
            )),
            Found::Unknown => Err(unknown(unauthorized(
                "key_unknown",
                "this host knows no such key; it was mistyped, revoked, or made for another host",
            ))),
        }
    }

    /// All keys, oldest first, without their secrets.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyView> {
        self.keys.list()
    }

    /// Makes a key; it opens when this returns.
    ///
    /// # Errors
    /// 422 `bad_key`; 409 `first_key` for one without `admin` that would lock out the very caller that asks for
    /// it; 409 `too_many_keys`; or the bucket fails.
    pub async fn create_key(&self, spec: KeySpec, by: &Caller) -> Result<NewKey, Problem> {
        check_spec(&spec)?;
        let first = self.keys.is_empty();
        if first && *by == Caller::anonymous() && !spec.scopes.contains(&Scope::Admin) {
            return Err(would_lock_out());
        }
        let token = Token::fresh().map_err(|error| Problem::internal(&error))?;
        let view = self.keys.add(spec, &token, by.name()).await?;
        Ok(NewKey {
            key: token.reveal().to_owned(),
            first,
            view,
        })
    }

    /// Revokes a key; it opens nothing when this returns.
    ///
    /// # Errors
    /// 404 `unknown_key`; 409 `last_admin_key` for the last one that may make others, where the network
    /// reaches the host; or the bucket fails.
    pub async fn revoke_key(&self, id: &str) -> Result<(), Problem> {
        Ok(self.keys.revoke(id, !self.loopback).await?)
    }
}

fn unauthorized(code: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}

fn would_lock_out() -> Problem {
    Problem::conflict(
        "first_key",
        "from the first key on every request has to show one, and this one could not make another: make a key with the scope `admin` first, for example with `boathouse key create boss --admin --out boss.key`",
    )
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "without keys this host answers programs of its own machine, and no web page of another origin; make a key with `boathouse key create boss --admin`",
    )
}

/// Whether a browser asks for a page of another origin, or under a name that is not this machine's own.
fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| text(header::HOST));
    let Some(host) = host else {
        // No browser leaves it out.
        return text(header::ORIGIN).is_some();
    };
    let strange = host
        .parse::<axum::http::uri::Authority>()
        .map_or(true, |authority| !is_own_name(authority.host()));
    let elsewhere = text(header::ORIGIN).is_some_and(|origin| {
        origin
            .strip_prefix("http://")
            .or(origin.strip_prefix("https://"))
            != Some(host)
    });
    strange || elsewhere
}

fn is_own_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn check_spec(spec: &KeySpec) -> Result<(), Problem> {
    let wrong = |field: &str, detail: &str| Err(Problem::field(field, "bad_key", detail));
    let length = spec.name.chars().count();
    if spec.name.trim().is_empty() || length > 80 || spec.name.chars().any(char::is_control) {
        return wrong(
            "name",
            "must be 1 to 80 characters that say what the key is for",
        );
    }
    if spec.scopes.is_empty() {
        return wrong("scopes", "must name at least one, for example `read`");
    }
    if spec
        .expires_in_days
        .is_some_and(|days| !(1..=3_650).contains(&days))
    {
        return wrong(
            "expires_in_days",
            "must be 1 to 3,650; leave it out for never",
        );
    }
    let lists = [
        ("datasets", spec.datasets.as_ref().map(|names| names.len())),
        ("indexes", spec.indexes.as_ref().map(|names| names.len())),
    ];
    for (field, names) in lists {
        if names.is_some_and(|names| !(1..=MOST_NAMES).contains(&names)) {
            return wrong(field, "must name 1 to 1,000; leave it out for all");
        }
    }
    let restricted = spec.datasets.is_some() || spec.indexes.is_some();
    match spec.scopes.iter().find(|scope| !scope.is_about_data()) {
        Some(scope) if restricted => wrong(
            "scopes",
            &format!(
                "`{scope}` is about the whole host, so the key cannot be kept to datasets or indexes; make two keys"
            ),
        ),
        _ => Ok(()),
    }
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Storage(inner) => inner.into(),
            KeysError::Unknown => Self::not_found("unknown_key", error.to_string()),
            KeysError::LastAdmin => Self::conflict("last_admin_key", error.to_string()),
            KeysError::TooMany => Self::conflict("too_many_keys", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
