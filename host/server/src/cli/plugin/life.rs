//! Commands that change what a host does with a version.

use boathouse_types::PluginKind;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{local, show};
use crate::{
    cli::{CliError, Output, cell},
    client::{Client, ClientError},
    plugins::PluginId,
};

/// A version beside what serves.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    /// `team/name`.
    name: String,
    /// The version.
    version: String,
    /// Show how it compares with what serves.
    #[arg(long, conflicts_with = "stop")]
    show: bool,
    /// End it.
    #[arg(long)]
    stop: bool,
    /// Its kind, where the name alone does not tell.
    #[arg(long, value_parser = local::kind)]
    kind: Option<PluginKind>,
}

/// What is to serve, and where.
#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// `team/name`.
    name: String,
    /// The version.
    version: String,
    /// For this index only, instead of the default; may be repeated.
    #[arg(long = "index", value_name = "INDEX")]
    indexes: Vec<String>,
    /// For this dataset only (detectors); may be repeated.
    #[arg(long = "dataset", value_name = "DATASET", conflicts_with = "indexes")]
    datasets: Vec<String>,
    /// Only if nothing has changed since this state, as `etag` of an answer gave it.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    /// Its kind, where the name alone does not tell.
    #[arg(long, value_parser = local::kind)]
    kind: Option<PluginKind>,
}

pub(super) async fn shadow(
    client: &Client,
    output: &Output,
    arguments: Shadow,
) -> Result<(), CliError> {
    let path = path(client, &arguments.name, arguments.kind).await?;
    let path = format!("{path}/versions/{}/shadow", arguments.version);
    if arguments.show {
        let report: Value = client.get(&path).await?;
        output.result(&report, show::comparison);
        return Ok(());
    }
    let method = if arguments.stop {
        Method::DELETE
    } else {
        Method::POST
    };
    let view = client.exchange(method, &path, &[], None).await?;
    let Shadow {
        name,
        version,
        stop,
        ..
    } = arguments;
    output.result(&view, |_| {
        if stop {
            println!("{name} {version} is no longer a shadow");
        } else {
            println!("{name} {version} runs beside what serves");
            println!("next: boathouse plugin shadow {name} {version} --show");
        }
    });
    Ok(())
}

pub(super) async fn activate(
    client: &Client,
    output: &Output,
    arguments: Activate,
) -> Result<(), CliError> {
    let path = path(client, &arguments.name, arguments.kind).await?;
    let path = format!("{path}/versions/{}/activate", arguments.version);
    let mut body = json!({});
    for (key, names) in [
        ("indexes", &arguments.indexes),
        ("datasets", &arguments.datasets),
    ] {
        if !names.is_empty() {
            body[key] = json!(names);
        }
    }
    let etag = arguments.if_match.map(quoted);
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(etag.iter().map(|etag| ("if-match", etag.as_str())));
    let body = Some(body.to_string().into());
    let answer = client.exchange(Method::POST, &path, &headers, body).await?;
    output.result(&answer, |answer| {
        println!(
            "{} {} serves; it replaced {}; etag {}",
            arguments.name,
            arguments.version,
            replaced(answer),
            cell(answer.get("etag"))
        );
    });
    Ok(())
}

/// Rolls back or deactivates a plugin.
pub(super) async fn change(
    client: &Client,
    output: &Output,
    name: &str,
    kind: Option<PluginKind>,
    what: &str,
) -> Result<(), CliError> {
    let path = path(client, name, kind).await?;
    let path = format!("{path}/{what}");
    let answer = client.exchange(Method::POST, &path, &[], None).await?;
    output.result(&answer, |answer| {
        println!("{what} of {name}: done, etag {}", cell(answer.get("etag")));
    });
    Ok(())
}

pub(super) async fn delete(
    client: &Client,
    output: &Output,
    name: &str,
    version: &str,
    kind: Option<PluginKind>,
) -> Result<(), CliError> {
    let path = path(client, name, kind).await?;
    client.delete(&format!("{path}/versions/{version}")).await?;
    output.result(&Value::Null, |_| println!("deleted"));
    Ok(())
}

/// The path of a plugin on a host, which is asked for its kind unless that is given. It is asked for the
/// plugin and not for the list of all, which a team's key may not read.
async fn path(client: &Client, name: &str, kind: Option<PluginKind>) -> Result<String, CliError> {
    if let Some(kind) = kind {
        return Ok(format!("/plugins/{kind}/{name}"));
    }
    let mut kinds = Vec::new();
    for kind in PluginKind::ALL {
        if is_there(client, name, kind).await? {
            kinds.push(kind.as_str());
        }
    }
    match kinds[..] {
        [kind] => Ok(format!("/plugins/{kind}/{name}")),
        [] => Err(CliError::Failed(format!(
            "there is no plugin `{name}`; `boathouse plugin list` shows those there are"
        ))),
        _ => Err(CliError::Usage(format!(
            "`{name}` is the name of plugins of several kinds ({}); choose one with --kind",
            kinds.join(", ")
        ))),
    }
}

/// Whether a host has a plugin of this kind and name; what is no name is nobody's.
async fn is_there(client: &Client, name: &str, kind: PluginKind) -> Result<bool, CliError> {
    let (team, rest) = name.split_once('/').unwrap_or_default();
    let Ok(id) = PluginId::new(kind, team, rest) else {
        return Ok(false);
    };
    match client.get::<Value>(&id.path()).await {
        Ok(_) => Ok(true),
        Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// An entity tag in its quotes, however it was typed.
fn quoted(etag: String) -> String {
    if etag.starts_with('"') {
        etag
    } else {
        format!("\"{etag}\"")
    }
}

/// What an activation took the place of, and how long its last calls took.
fn replaced(answer: &Value) -> String {
    let replaced = match &answer["replaced"] {
        Value::Array(all) => all.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if replaced.is_empty() {
        return "nothing".to_owned();
    }
    let named = replaced.iter().map(|plugin| {
        let (name, version) = (plugin.get("name"), plugin.get("version"));
        format!("{} {}", cell(name), cell(version))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let took = cell(answer.get("drained_ms"));
    format!("{named}, which drained in {took} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_may_be_typed_with_or_without_quotes() {
        assert_eq!(quoted("7".to_owned()), "\"7\"");
        assert_eq!(quoted("\"7\"".to_owned()), "\"7\"");
    }

    #[test]
    fn what_was_replaced_is_named() {
        let one = json!({"name": "a/b", "version": "1.0.0"});
        let said = "a/b 1.0.0, which drained in 7 ms";
        for named in [one.clone(), json!([one])] {
            let answer = json!({"replaced": named, "drained_ms": 7});
            assert_eq!(replaced(&answer), said);
        }
        for none in [
            json!({"drained_ms": 0}),
            json!({"replaced": null, "drained_ms": 0}),
            json!({"replaced": []}),
        ] {
            assert_eq!(replaced(&none), "nothing");
        }
    }
}
