//! The pages: their paths, their templates, and the routes of the API whose answers they show.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Request, State},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::{Console, ask::ask, render, sign_in};
use crate::{
    auth::{Caller, permits},
    url::encode,
};

/// Datasets whose findings the list shows; of the others it shows what the list of the API has.
const MOST_TAGGED: usize = 60;
/// Hits of a search when the form says nothing.
const HITS: u64 = 10;

/// The names in a page's path.
pub(super) type Names = Path<HashMap<String, String>>;

/// A page.
pub(super) struct Page {
    /// Its path, as routes are written.
    pub(super) path: &'static str,
    template: &'static str,
    /// Names in the template, and what is asked under them: a route of the API with the names of the page's path,
    /// and a query.
    reads: &'static [(&'static str, &'static str, &'static str)],
}

const fn page(
    path: &'static str,
    template: &'static str,
    reads: &'static [(&'static str, &'static str, &'static str)],
) -> Page {
    Page {
        path,
        template,
        reads,
    }
}

/// All pages.
#[rustfmt::skip]
pub(super) const PAGES: &[Page] = &[
    page("/", "overview.html", &[
        ("ready", "/readyz", ""), ("datasets", "/datasets", ""), ("indexes", "/vectors/indexes", ""),
        ("agent", "/vectors/agent", ""), ("plugins", "/plugins", ""), ("buckets", "/storage/buckets", ""),
        ("slot", "/vectors/profile/active", ""), ("tasks", "/tasks", ""),
    ]),
    page("/console/datasets", "datasets.html", &[("datasets", "/datasets", ""), ("tasks", "/tasks", "")]),
    page("/console/datasets/{name}", "dataset.html", &[
        ("dataset", "/datasets/{name}", ""), ("rows", "/datasets/{name}/rows", "limit=12"),
        ("indexes", "/vectors/indexes", ""),
    ]),
    page("/console/indexes", "indexes.html", &[
        ("indexes", "/vectors/indexes", ""), ("datasets", "/datasets", ""), ("tasks", "/tasks", ""),
    ]),
    page("/console/indexes/{idx}", "index.html", &[
        ("index", "/vectors/indexes/{idx}", ""), ("trials", "/vectors/trials/{idx}", "limit=500"),
        ("recall", "/vectors/indexes/{idx}/recall", ""), ("agent", "/vectors/agent", ""),
        ("promotions", "/vectors/promotions/{idx}", ""), ("tasks", "/tasks", ""),
    ]),
    page("/console/plugins", "plugins.html", &[("plugins", "/plugins", ""), ("events", "/plugins/events", "limit=500")]),
    page("/console/plugins/{kind}/{team}/{name}", "plugin.html", &[
        ("plugin", "/plugins/{kind}/{team}/{name}", ""), ("events", "/plugins/{kind}/{team}/{name}/events", "limit=200"),
    ]),
    page("/console/plugins/{kind}/{team}/{name}/{version}", "version.html", &[
        ("version", "/plugins/{kind}/{team}/{name}/versions/{version}", ""),
        ("shadow", "/plugins/{kind}/{team}/{name}/versions/{version}/shadow", ""),
    ]),
    page("/console/models", "models.html", &[
        ("slot", "/vectors/profile/active", ""), ("vram", "/admin/vram", ""), ("profiles", "/vectors/profile", ""),
    ]),
    page("/console/search", "search.html", &[("indexes", "/vectors/indexes", "")]),
    page("/console/sql", "sql.html", &[("datasets", "/datasets", "")]),
];

/// Shows a page to who asks, or the form to sign in.
pub(super) async fn show(
    page: &'static Page,
    State(console): State<Arc<Console>>,
    Path(names): Names,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let caller = match console.app.auth.who(&parts.headers, &parts.uri) {
        Ok(caller) => caller,
        Err(problem) if problem.status == 401 => {
            let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let known = problem.code == "key_needed";
            let shown = json!({ "code": problem.code, "detail": problem.detail });
            return sign_in::form(&console, next, if known { Value::Null } else { shown });
        }
        Err(problem) => return problem.into_response(),
    };
    let mut context = read(page, &console, &parts, &caller, &names).await;
    let status = status_of(page, &context);
    context.insert("names".to_owned(), json!(names));
    context.insert("path".to_owned(), json!(parts.uri.path()));
    match page.template {
        "datasets.html" => tag(&console, &parts, &mut context).await,
        "search.html" => search(&console, &parts, &mut context).await,
        _ => {}
    }
    let body = render::page(
        &console,
        page.template,
        &Value::Object(context),
        Some(caller),
    );
    (status, body).into_response()
}

/// The answers that a page shows. What the caller has no right to is not asked, so that looking leaves no refusal in the
/// audit log; the template says which right is missing.
async fn read(
    page: &Page,
    console: &Console,
    parts: &Parts,
    caller: &Caller,
    names: &HashMap<String, String>,
) -> Map<String, Value> {
    let team = names.get("team").map(String::as_str);
    let reads = page.reads.iter().map(|(name, route, query)| async move {
        if *name != "ready" && !permits(caller, "GET", route, team) {
            let detail = format!("your key may not `GET {route}`");
            let problem = json!({ "problem": { "code": "scope_missing", "detail": detail } });
            return ((*name).to_owned(), problem);
        }
        let target = filled(route, names, query);
        (
            (*name).to_owned(),
            ask(console, parts, Method::GET, &target, None).await,
        )
    });
    join_all(reads).await.into_iter().collect()
}

/// That of the first answer, which a page with a name in its path is about.
fn status_of(page: &Page, context: &Map<String, Value>) -> StatusCode {
    let first = page.reads.first().filter(|_| page.path.contains('{'));
    let answer = first.and_then(|(name, _, _)| context.get(*name));
    match answer.and_then(|answer| answer["problem"]["status"].as_u64()) {
        Some(404) => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

fn filled(route: &str, names: &HashMap<String, String>, query: &str) -> String {
    let mut target = route.to_owned();
    for (name, value) in names {
        target = target.replace(&format!("{{{name}}}"), &encode(value));
    }
    if query.is_empty() {
        target
    } else {
        format!("{target}?{query}")
    }
}

/// Adds the findings to the datasets of the list, each by its own route.
async fn tag(console: &Console, parts: &Parts, context: &mut Map<String, Value>) {
    let listed = context["datasets"]["value"]["datasets"].as_array();
    let names = listed.into_iter().flatten().take(MOST_TAGGED);
    let names: Vec<String> = names
        .filter_map(|dataset| dataset["name"].as_str().map(str::to_owned))
        .collect();
    let asked = names.into_iter().map(|name| async move {
        let target = format!("/datasets/{}", encode(&name));
        (name, ask(console, parts, Method::GET, &target, None).await)
    });
    let found: Map<String, Value> = join_all(asked).await.into_iter().collect();
    context.insert("details".to_owned(), Value::Object(found));
}

/// Searches when the form asks for something.
async fn search(console: &Console, parts: &Parts, context: &mut Map<String, Value>) {
    let text = |name| sign_in::query(&parts.uri, name).unwrap_or_default();
    let (index, wanted, with) = (text("index"), text("q"), text("with"));
    let k = text("k").parse().unwrap_or(HITS);
    context.insert(
        "asked".to_owned(),
        json!({ "index": index, "q": wanted, "k": k, "with": with, "filter": text("filter") }),
    );
    if index.is_empty() || wanted.trim().is_empty() {
        return;
    }
    let columns: Vec<&str> = with.split(',').map(str::trim).collect();
    let columns: Vec<&str> = columns
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    let mut body = json!({ "text": wanted, "k": k });
    if !columns.is_empty() {
        body["with"] = json!(columns);
    }
    if !text("filter").trim().is_empty() {
        body["filter"] = json!(text("filter"));
    }
    let target = format!("/vectors/indexes/{}/search", encode(&index));
    let answer = ask(console, parts, Method::POST, &target, Some(&body)).await;
    context.insert("found".to_owned(), answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_asks_routes_that_the_table_of_rights_has() {
        for page in PAGES {
            for (name, route, _) in page.reads {
                let known =
                    *name == "ready" || permits(&Caller::anonymous(), "GET", route, Some("acme"));
                assert!(known, "{} asks `{route}`", page.path);
            }
        }
    }
}
