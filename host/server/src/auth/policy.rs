//! Which scope each route asks for, what of the data it touches, and whether it changes anything.
//!
//! One row a method and path, as in the OpenAPI document; a test compares the two. A path without any
//! row asks for `admin`, so a route that was forgotten here is closed and not open. A method that a
//! listed path does not take is refused before a handler could run.

use axum::http::Method;

use super::{Caller, Scope, caller::scope_missing};
use crate::problem::Problem;

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing, not even a key.
    Nothing,
    /// A key, whatever it allows.
    Key,
    /// One of these rights.
    One(&'static [Right]),
}

/// A scope, where the one for plugins is that of the team in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Search,
    Ingest,
    Tune,
    Models,
    Plugins,
    Admin,
}

/// What of the data a route touches: a key that is restricted is held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touches {
    /// No dataset and no index.
    Nothing,
    /// The dataset that this part of the path names.
    Dataset(&'static str),
    /// The index that this part of the path names.
    Index(&'static str),
    /// What its body or query names, or what it lists: the handler looks.
    Handler,
    /// Any dataset or index: no restricted key may.
    Everything,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something; the audit log learns of it.
    Changes,
    /// As [`Self::Changes`], and the line is in the bucket before the answer goes out.
    ChangesRights,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    pub(super) touches: Touches,
    pub(super) effect: Effect,
}

/// What the table says of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// This row is about it.
    Rule(Rule),
    /// The path is listed and does not take this method.
    WrongMethod,
    /// There is no such route.
    NoRoute,
}

/// The row of a request; `path` is the pattern that matched, none when no route did.
pub(super) fn rule(method: &Method, path: Option<&str>) -> Verdict {
    let Some(path) = path else {
        return Verdict::NoRoute;
    };
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let rows = || RULES.iter().filter(|row| row.path == path);
    match rows().find(|row| row.method == method.as_str()) {
        Some(row) => Verdict::Rule(*row),
        None if rows().next().is_some() => Verdict::WrongMethod,
        None => Verdict::Rule(UNLISTED),
    }
}

/// Whether a caller may use a route of the table at all, whatever names stand in its path but that of a team: what the
/// console offers.
pub(crate) fn permits(caller: &Caller, method: &str, path: &str, team: Option<&str>) -> bool {
    let row = RULES
        .iter()
        .find(|row| row.method == method && row.path == path);
    row.is_some_and(|row| {
        let far = row.touches == Touches::Everything && caller.is_restricted();
        !far && row.check(caller, team).is_ok()
    })
}

impl Rule {
    /// That a caller has what the route asks for; `team` is the one in the path, if any.
    pub(super) fn check(&self, caller: &Caller, team: Option<&str>) -> Result<(), Problem> {
        let Needs::One(rights) = self.needs else {
            return Ok(());
        };
        let wanted: Vec<Scope> = rights
            .iter()
            .filter_map(|right| right.scope(team))
            .collect();
        if wanted.iter().any(|scope| caller.has(scope)) || caller.has(&Scope::Admin) {
            return Ok(());
        }
        // A team whose name is none has no scope; the handler would say so to whoever may do everything.
        let wanted = if wanted.is_empty() {
            vec![Scope::Admin]
        } else {
            wanted
        };
        Err(scope_missing(&wanted))
    }
}

impl Right {
    fn scope(self, team: Option<&str>) -> Option<Scope> {
        match self {
            Self::Read => Some(Scope::Read),
            Self::Search => Some(Scope::Search),
            Self::Ingest => Some(Scope::Ingest),
            Self::Tune => Some(Scope::Tune),
            Self::Models => Some(Scope::Models),
            Self::Plugins => team.and_then(Scope::plugins_of),
            Self::Admin => Some(Scope::Admin),
        }
    }
}

/// For a path that the table forgot.
const UNLISTED: Rule = row("", "", ADMIN, Touches::Everything, Effect::ChangesRights);

const READ: Needs = Needs::One(&[Right::Read]);
const SEARCH: Needs = Needs::One(&[Right::Search]);
const INGEST: Needs = Needs::One(&[Right::Ingest]);
const TUNE: Needs = Needs::One(&[Right::Tune]);
const MODELS: Needs = Needs::One(&[Right::Models]);
const ADMIN: Needs = Needs::One(&[Right::Admin]);
const PLUGINS: Needs = Needs::One(&[Right::Plugins]);
/// Reading about plugins: also for who writes those of the team.
const PLUGINS_READ: Needs = Needs::One(&[Right::Read, Right::Plugins]);
/// Who starts work may follow it.
const FOLLOW: Needs = Needs::One(&[Right::Read, Right::Ingest, Right::Tune, Right::Models]);
/// Who may start work may stop it; the handler looks at whose kind of work it is.
const STOP: Needs = Needs::One(&[Right::Ingest, Right::Tune, Right::Models]);

const fn row(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    touches: Touches,
    effect: Effect,
) -> Rule {
    Rule {
        method,
        path,
        needs,
        touches,
        effect,
    }
}

const fn get(path: &'static str, needs: Needs, touches: Touches) -> Rule {
    row("GET", path, needs, touches, Effect::Reads)
}

const fn post(path: &'static str, needs: Needs, touches: Touches) -> Rule {
    row("POST", path, needs, touches, Effect::Changes)
}

const fn delete(path: &'static str, needs: Needs, touches: Touches) -> Rule {
    row("DELETE", path, needs, touches, Effect::Changes)
}

/// A change of plugins: of what judges everything that the host does.
const fn plugins(method: &'static str, path: &'static str) -> Rule {
    row(
        method,
        path,
        PLUGINS,
        Touches::Everything,
        Effect::ChangesRights,
    )
}

const NAME: Touches = Touches::Dataset("name");
const IDX: Touches = Touches::Index("idx");

#[rustfmt::skip]
const RULES: &[Rule] = &[
    get("/livez", Needs::Nothing, Touches::Nothing),
    get("/readyz", Needs::Nothing, Touches::Nothing),
    get("/openapi.json", Needs::Nothing, Touches::Nothing),
    get("/metrics", READ, Touches::Everything),

    get("/auth/me", Needs::Key, Touches::Nothing),
    get("/auth/keys", ADMIN, Touches::Everything),
    row("POST", "/auth/keys", ADMIN, Touches::Everything, Effect::ChangesRights),
    row("DELETE", "/auth/keys/{id}", ADMIN, Touches::Everything, Effect::ChangesRights),
    get("/audit", ADMIN, Touches::Everything),

    get("/storage/buckets", READ, Touches::Nothing),
    row("POST", "/storage/buckets", ADMIN, Touches::Everything, Effect::ChangesRights),
    row("DELETE", "/storage/buckets/{name}", ADMIN, Touches::Everything, Effect::ChangesRights),
    post("/storage/gc", ADMIN, Touches::Everything),
    post("/ingest/file", INGEST, Touches::Handler),
    post("/ingest/db", INGEST, Touches::Handler),
    post("/ingest/mysql", INGEST, Touches::Handler),
    get("/ingest/jobs", READ, Touches::Handler),
    get("/datasets", READ, Touches::Handler),
    get("/datasets/{name}", READ, NAME),
    delete("/datasets/{name}", INGEST, NAME),
    get("/datasets/{name}/rows", READ, NAME),
    get("/datasets/{name}/pii/policy", READ, NAME),
    row("PUT", "/datasets/{name}/pii/policy", ADMIN, NAME, Effect::ChangesRights),
    post("/datasets/{name}/pii/scan", INGEST, NAME),
    get("/ingest/watch", READ, Touches::Handler),
    get("/lineage", READ, Touches::Handler),
    get("/lineage/{dataset}", READ, Touches::Dataset("dataset")),

    get("/vectors/indexes", READ, Touches::Handler),
    post("/vectors/indexes", TUNE, Touches::Handler),
    get("/vectors/indexes/{idx}", READ, IDX),
    row("PATCH", "/vectors/indexes/{idx}", TUNE, IDX, Effect::Changes),
    delete("/vectors/indexes/{idx}", TUNE, IDX),
    delete("/vectors/indexes/{idx}/documents", TUNE, IDX),
    post("/vectors/indexes/{idx}/refresh", TUNE, IDX),
    get("/vectors/indexes/{idx}/recall", READ, IDX),
    row("POST", "/vectors/indexes/{idx}/search", SEARCH, IDX, Effect::Reads),
    get("/vectors/indexes/{idx}/documents/{doc_id}", READ, IDX),
    post("/vectors/lance/migrate/{idx}", TUNE, IDX),
    post("/vectors/lance/index/{idx}", TUNE, IDX),
    post("/vectors/lance/optimize/{idx}", TUNE, IDX),
    row("POST", "/vectors/lance/search/{idx}", SEARCH, IDX, Effect::Reads),
    get("/vectors/lance/doc/{idx}/{doc_id}", READ, IDX),
    post("/vectors/lance/append/{idx}", TUNE, IDX),
    get("/vectors/lance/stats/{idx}", READ, IDX),
    get("/vectors/evalsets", READ, Touches::Handler),
    post("/vectors/evalsets", TUNE, Touches::Handler),
    delete("/vectors/evalsets/{idx}/{name}", TUNE, IDX),
    get("/vectors/trials/{idx}", READ, IDX),
    post("/vectors/trials/{idx}", TUNE, IDX),
    get("/vectors/trials/{idx}/best", READ, IDX),
    post("/vectors/autotune/{idx}", TUNE, IDX),
    get("/vectors/agent", READ, Touches::Handler),
    get("/vectors/agent/status", READ, Touches::Handler),
    post("/vectors/agent/start", TUNE, Touches::Everything),
    post("/vectors/agent/stop", TUNE, Touches::Everything),
    get("/vectors/agent/events", READ, Touches::Handler),
    post("/vectors/agent/enqueue/{idx}", TUNE, IDX),
    get("/vectors/agent/replay/{idx}", READ, IDX),
    post("/vectors/promote/{idx}", TUNE, IDX),
    post("/vectors/rollback/{idx}", TUNE, IDX),
    get("/vectors/promotions", READ, Touches::Handler),
    get("/vectors/promotions/{idx}", READ, IDX),

    get("/vectors/profile", READ, Touches::Everything),
    post("/vectors/profile", MODELS, Touches::Everything),
    get("/vectors/profile/active", READ, Touches::Everything),
    get("/vectors/profile/{id}", READ, Touches::Everything),
    row("PATCH", "/vectors/profile/{id}", MODELS, Touches::Everything, Effect::Changes),
    delete("/vectors/profile/{id}", MODELS, Touches::Everything),
    post("/vectors/profile/{id}/activate", MODELS, Touches::Everything),
    post("/vectors/profile/{id}/deactivate", MODELS, Touches::Everything),
    row("POST", "/vectors/profile/{id}/search", SEARCH, Touches::Handler, Effect::Reads),
    get("/vectors/profile/{id}/doc/{idx}/{doc}", SEARCH, Touches::Handler),
    post("/vectors/profile/{id}/ask", SEARCH, Touches::Handler),
    get("/admin/vram", READ, Touches::Everything),
    post("/admin/preload", MODELS, Touches::Everything),
    post("/admin/unload", MODELS, Touches::Everything),

    get("/plugins", READ, Touches::Everything),
    get("/plugins/events", READ, Touches::Everything),
    get("/plugins/{kind}/{team}/{name}", PLUGINS_READ, Touches::Everything),
    get("/plugins/{kind}/{team}/{name}/events", PLUGINS_READ, Touches::Everything),
    plugins("POST", "/plugins/{kind}/{team}/{name}/versions"),
    get("/plugins/{kind}/{team}/{name}/versions/{version}", PLUGINS_READ, Touches::Everything),
    plugins("DELETE", "/plugins/{kind}/{team}/{name}/versions/{version}"),
    plugins("POST", "/plugins/{kind}/{team}/{name}/versions/{version}/activate"),
    plugins("POST", "/plugins/{kind}/{team}/{name}/versions/{version}/shadow"),
    plugins("DELETE", "/plugins/{kind}/{team}/{name}/versions/{version}/shadow"),
    get("/plugins/{kind}/{team}/{name}/versions/{version}/shadow", PLUGINS_READ, Touches::Everything),
    plugins("POST", "/plugins/{kind}/{team}/{name}/rollback"),
    plugins("POST", "/plugins/{kind}/{team}/{name}/deactivate"),

    get("/tasks", FOLLOW, Touches::Handler),
    get("/tasks/{id}", FOLLOW, Touches::Handler),
    post("/tasks/{id}/cancel", STOP, Touches::Handler),
    get("/tasks/{id}/events", FOLLOW, Touches::Handler),
];

/// The methods that a listed path takes, as the header `Allow` wants them.
pub(super) fn methods(path: &str) -> String {
    let rows = RULES.iter().filter(|row| row.path == path);
    let methods: Vec<&str> = rows.map(|row| row.method).collect();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::auth::Reach;

    /// The route that is no part of the document, as it is the document.
    const BESIDE: (&str, &str) = ("GET", "/openapi.json");

    /// Methods and paths of the table.
    fn listed() -> BTreeSet<(&'static str, &'static str)> {
        RULES.iter().map(|row| (row.method, row.path)).collect()
    }

    /// Methods and paths of the document.
    fn documented() -> BTreeSet<(String, String)> {
        let document = serde_json::to_value(crate::http::openapi()).expect("json");
        let paths = document["paths"].as_object().expect("paths");
        let methods = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("an item").keys();
            methods
                .filter(|key| ["get", "post", "put", "patch", "delete"].contains(&key.as_str()))
                .map(|method| (method.to_uppercase(), path.clone()))
        });
        methods.collect()
    }

    #[test]
    fn every_route_has_a_row() {
        let listed = listed();
        assert_eq!(listed.len(), RULES.len(), "a row is there twice");
        let without: Vec<_> = documented()
            .into_iter()
            .filter(|(method, path)| !listed.contains(&(method.as_str(), path.as_str())))
            .collect();
        assert!(without.is_empty(), "routes without a row: {without:?}");
    }

    #[test]
    fn every_row_has_a_route() {
        let documented = documented();
        let without: Vec<_> = listed()
            .into_iter()
            .filter(|row| *row != BESIDE)
            .filter(|(method, path)| {
                !documented.contains(&((*method).to_owned(), (*path).to_owned()))
            })
            .collect();
        assert!(without.is_empty(), "rows without a route: {without:?}");
    }

    #[test]
    fn what_is_not_listed_is_closed() {
        let Verdict::Rule(rule) = rule(&Method::GET, Some("/forgotten")) else {
            panic!("a rule");
        };
        let reader = Caller::new("k", [Scope::Read, Scope::Tune], Reach::All);
        assert!(rule.check(&reader, None).is_err());
        assert!(rule.check(&Caller::anonymous(), None).is_ok());
        assert!(matches!(
            super::rule(&Method::PUT, Some("/datasets")),
            Verdict::WrongMethod
        ));
        assert!(matches!(super::rule(&Method::GET, None), Verdict::NoRoute));
    }

    #[test]
    fn a_head_asks_for_what_a_get_asks_for() {
        let of = |method| match rule(&method, Some("/datasets")) {
            Verdict::Rule(rule) => rule.needs,
            other => panic!("{other:?}"),
        };
        assert_eq!(of(Method::HEAD), of(Method::GET));
    }

    #[test]
    fn only_a_read_goes_without_a_line_and_every_change_without_a_read_scope() {
        for row in RULES {
            let reads = row.method == "GET"
                || row.path.ends_with("/search")
                || row.path == "/vectors/lance/search/{idx}";
            assert_eq!(row.effect == Effect::Reads, reads, "{row:?}");
            if !reads {
                let Needs::One(rights) = row.needs else {
                    panic!("a change that asks for nothing: {row:?}");
                };
                assert!(!rights.contains(&Right::Read), "{row:?}");
            }
        }
    }

    #[test]
    fn the_scope_for_plugins_is_that_of_the_team_in_the_path() {
        let path = "/plugins/{kind}/{team}/{name}/rollback";
        let Verdict::Rule(rule) = rule(&Method::POST, Some(path)) else {
            panic!("a rule");
        };
        let caller = Caller::new("k", Scope::plugins_of("acme"), Reach::All);
        assert!(rule.check(&caller, Some("acme")).is_ok());
        let refused = rule.check(&caller, Some("other")).expect_err("other team");
        assert!(refused.detail.contains("plugins:write:other"), "{refused}");
        assert!(rule.check(&caller, Some("../x")).is_err());
        assert!(rule.check(&caller, None).is_err());
    }
}
