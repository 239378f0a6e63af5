//! `boathouse gc`.

use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output, cell,
        output::{counted, table},
        task::awaited,
    },
    client::Client,
};

/// How to go about it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Say what would be removed, and change nothing. Copies in `rescue` of what would be removed are not
    /// counted: they become garbage by the removal.
    #[arg(long)]
    dry_run: bool,
    /// Leave objects alone that are younger than this; `[storage.gc] grace_hours` when left out. 0 only
    /// while no other host works on these buckets.
    #[arg(long, value_name = "N")]
    grace_hours: Option<u32>,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let mut body = json!({"dry_run": arguments.dry_run});
    if let Some(hours) = arguments.grace_hours {
        body["grace_hours"] = hours.into();
    }
    let task = client.post("/storage/gc", &body).await?;
    output.result(&awaited(client, output, &task).await?, show);
    Ok(())
}

fn show(report: &Value) {
    let rows = collected(report);
    if list(&rows).next().is_some() {
        println!("{}\n", table(&rows, &CLASSES));
    }
    let (removed, merged, expired) = match report["dry_run"] == true {
        true => ("would be removed", "would be merged", "would expire"),
        false => ("removed", "merged", "expired"),
    };
    println!(
        "{}, {} {removed}",
        counted(report.get("objects"), "object"),
        counted(report.get("bytes"), "byte")
    );
    for versions_of in list(&report["expired"]) {
        let versions: Vec<_> = list(&versions_of["versions"])
            .map(Value::to_string)
            .collect();
        let dataset = cell(versions_of.get("dataset"));
        println!(
            "{expired}: dataset {dataset}, versions {}",
            versions.join(", ")
        );
    }
    for left in list(&report["left_out"]) {
        print_left_out("", left);
    }
    for bucket in list(&report["buckets"]) {
        let name = place(bucket);
        for log in list(&bucket["compacted"]) {
            let (files, log) = (cell(log.get("files")), cell(log.get("log")));
            println!("{merged}: {files} files of log {log} in {name}");
        }
        for left in list(&bucket["left_out"]) {
            print_left_out(&format!(" in {name}"), left);
        }
        if bucket["unknown"]["objects"].as_u64() > Some(0) {
            let unknown = cell(bucket.pointer("/unknown/objects"));
            let example = cell(bucket.pointer("/unknown/examples/0"));
            println!("not ours and not touched: {unknown} objects in {name}, such as {example}");
        }
    }
}

const CLASSES: [(&str, &str); 5] = [
    ("bucket", "/bucket"),
    ("what", "/class"),
    ("objects", "/objects"),
    ("bytes", "/bytes"),
    ("such as", "/examples/0"),
];

/// One row a bucket and class.
fn collected(report: &Value) -> Value {
    let rows = list(&report["buckets"]).flat_map(|bucket| {
        let classes = bucket["classes"].as_object().into_iter().flatten();
        classes.map(|(class, sum)| {
            let mut row = sum.clone();
            row["bucket"] = place(bucket).into();
            row["class"] = class.as_str().into();
            row
        })
    });
    rows.collect()
}

fn place(bucket: &Value) -> String {
    let name = cell(bucket.get("bucket"));
    match bucket["copy"].as_bool() {
        Some(true) => format!("rescue/{name}"),
        _ => name,
    }
}

fn print_left_out(place: &str, left: &Value) {
    let (what, why) = (cell(left.get("what")), cell(left.get("why")));
    println!("left out{place}: {what}: {why}");
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_every_bucket_is_a_row() {
        let sum = json!({"objects": 1, "bytes": 2, "examples": ["x"]});
        let report = json!({"buckets": [
            {"bucket": "primary", "copy": false, "classes": {"rows": sum, "graphs": sum}},
            {"bucket": "primary", "copy": true, "classes": {"manifests": sum}},
            {"bucket": "rescue", "copy": false, "classes": {}},
        ]});
        let rows = collected(&report);
        let places: Vec<_> = list(&rows)
            .map(|row| format!("{} {}", cell(row.get("bucket")), cell(row.get("class"))))
            .collect();
        assert_eq!(
            places,
            ["primary graphs", "primary rows", "rescue/primary manifests"]
        );
        assert_eq!(rows[0]["bytes"], 2);
    }
}
