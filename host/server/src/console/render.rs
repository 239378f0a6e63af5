//! Making pages of templates: escaping, numbers and times for people, and what a caller is offered.

use std::collections::BTreeMap;

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use minijinja::{Environment, UndefinedBehavior, Value};

use super::Console;
use crate::{
    auth::{Caller, permits},
    problem::Problem,
};

/// Templates by name; `.html` is what has everything escaped.
const TEMPLATES: [(&str, &str); 14] = [
    ("frame.html", include_str!("../../console/frame.html")),
    ("parts.html", include_str!("../../console/parts.html")),
    ("sign-in.html", include_str!("../../console/sign-in.html")),
    ("overview.html", include_str!("../../console/overview.html")),
    ("datasets.html", include_str!("../../console/datasets.html")),
    ("dataset.html", include_str!("../../console/dataset.html")),
    ("indexes.html", include_str!("../../console/indexes.html")),
    ("index.html", include_str!("../../console/index.html")),
    ("plugins.html", include_str!("../../console/plugins.html")),
    ("plugin.html", include_str!("../../console/plugin.html")),
    ("version.html", include_str!("../../console/version.html")),
    ("models.html", include_str!("../../console/models.html")),
    ("search.html", include_str!("../../console/search.html")),
    ("sql.html", include_str!("../../console/sql.html")),
];

/// All templates, with their filters.
pub(super) fn templates() -> Environment<'static> {
    let mut all = Environment::new();
    all.set_undefined_behavior(UndefinedBehavior::Chainable);
    for (name, text) in TEMPLATES {
        if let Err(error) = all.add_template(name, text) {
            tracing::error!(%error, name, "a template of the console is wrong");
        }
    }
    all.add_filter("num", thousands);
    all.add_filter("bytes", bytes);
    all.add_filter("when", when);
    all.add_filter("us", micros);
    all.add_filter("fixed", |value: f64, places: usize| {
        format!("{value:.places$}")
    });
    all
}

/// A page for a caller, none before it is known who asks.
pub(super) fn page(
    console: &Console,
    template: &str,
    context: &serde_json::Value,
    caller: Option<Caller>,
) -> Response {
    let mut all = of(context).unwrap_or_default();
    let name = caller.as_ref().map(|caller| caller.name().to_owned());
    all.insert("caller".to_owned(), Value::from(name));
    let may = move |method: &str, route: &str, team: Option<&str>| {
        let caller = caller.as_ref();
        caller.is_some_and(|caller| permits(caller, method, route, team))
    };
    all.insert("may".to_owned(), Value::from_function(may));
    let page = console.templates.get_template(template);
    match page.and_then(|page| page.render(Value::from(all))) {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, template, "a page could not be made");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the page could not be made; the log has why",
            )
            .into_response()
        }
    }
}

fn of(context: &serde_json::Value) -> Option<BTreeMap<String, Value>> {
    let fields = context.as_object()?.iter();
    Some(
        fields
            .map(|(name, value)| (name.clone(), told(value)))
            .collect(),
    )
}

/// JSON as templates have it.
fn told(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(told).collect::<Vec<_>>()),
        Json::Object(_) => Value::from(of(value).unwrap_or_default()),
    }
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// Bytes in binary units.
fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (value, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let places = usize::from(unit > 0 && value < 100.0);
    format!("{value:.places$} {}", units[unit])
}

/// Microseconds in a unit that suits them.
fn micros(value: f64) -> String {
    match value {
        value if value < 1_000.0 => format!("{value:.0} µs"),
        value if value < 1_000_000.0 => format!("{:.1} ms", value / 1_000.0),
        value => format!("{:.1} s", value / 1_000_000.0),
    }
}

/// A moment, to the second; the script turns it into the reader's time zone.
fn when(value: Option<&str>) -> Value {
    let Some(at) = value.filter(|at| at.len() >= 19 && at.is_ascii()) else {
        return Value::from("");
    };
    let safe = at
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-:.+".contains(&byte));
    if !safe {
        return Value::from("");
    }
    let shown = at[..19].replace('T', " ");
    Value::from_safe_string(format!("<time datetime=\"{at}\">{shown}</time>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed_and_offers_only_routes_that_exist() {
        let mut all = Environment::new();
        for (name, text) in TEMPLATES {
            all.add_template(name, text)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            for call in text.split("may(\"").skip(1) {
                let mut words = call.split('"');
                let (method, route) = (
                    words.next().expect("a method"),
                    words.nth(1).expect("a route"),
                );
                assert!(
                    permits(&Caller::anonymous(), method, route, Some("acme")),
                    "{name} offers `{method} {route}`"
                );
            }
        }
    }

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(thousands(-12.0), "-12");
        assert_eq!(bytes(504_498.0), "492.7 KiB".replace("492.7", "493"));
        assert_eq!(bytes(4_393_796.0), "4.2 MiB");
        assert_eq!(bytes(12.0), "12 B");
        assert_eq!(micros(16.75), "17 µs");
        assert_eq!(micros(8_569.0), "8.6 ms");
    }

    #[test]
    fn a_moment_that_is_none_brings_no_markup() {
        assert_eq!(when(Some("<script>alert(1)</script>")).to_string(), "");
        assert_eq!(
            when(Some("2026-11-23T22:38:34.523Z")).to_string(),
            "<time datetime=\"2026-11-23T22:38:34.523Z\">2026-11-23 22:38:34</time>"
        );
    }
}
