//! `boathouse task`: the long work of a host, and how a command waits for its own.
//!
//! Whoever interrupts a command ends its waiting, not the work: the host goes on with it, and the command says how to
//! come back to it and how to stop it.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
        serve::interrupted,
    },
    client::Client,
    tasks::TaskView,
};

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List tasks, newest first; a host forgets them when it stops.
    List {
        /// Only those that are under way.
        #[arg(long)]
        running: bool,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one task, with its result or what went wrong.
    Show {
        /// Its id.
        id: String,
    },
    /// Wait until a task has ended, and show its result.
    Wait {
        /// Its id.
        id: String,
    },
    /// Ask a task to stop.
    Cancel {
        /// Its id.
        id: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::List { running, limit } => {
            let mut list: Value = client.get("/tasks").await?;
            if let Some(tasks) = list["tasks"].as_array_mut() {
                tasks.retain(|task| !running || task["state"] == "running");
                tasks.truncate(limit);
            }
            output.result(&list, all);
        }
        Command::Show { id } => {
            let task: Value = client.get(&path(&id)).await?;
            output.result(&task, show);
        }
        Command::Wait { id } => {
            let task: TaskView = client.get(&path(&id)).await?;
            let result = awaited(client, output, &task).await?;
            output.result(&result, |result| println!("{result:#}"));
        }
        Command::Cancel { id } => {
            let path = format!("{}/cancel", path(&id));
            let task: Value = client.post(&path, &json!({})).await?;
            output.result(&task, |task| println!("{}", asked(task)));
        }
    }
    Ok(())
}

/// The result of a task, whose progress is shown until it ends.
///
/// # Errors
/// The task's own problem; [`CliError::Interrupted`] when somebody interrupts the waiting; or no answer comes.
pub(crate) async fn awaited(
    client: &Client,
    output: &Output,
    task: &TaskView,
) -> Result<Value, CliError> {
    let bar = output.bar();
    let ended = tokio::select! {
        ended = client.wait(task, |view| bar.follow(view)) => ended.map_err(CliError::from),
        told = interrupted() => Err(told.err().unwrap_or_else(|| CliError::Interrupted {
            kind: task.kind.clone(),
            subject: task.subject.clone(),
            id: task.id.clone(),
        })),
    };
    bar.done();
    ended
}

fn path(id: &str) -> String {
    format!("/tasks/{}", crate::url::encode(id))
}

fn all(list: &Value) {
    let mut tasks = list["tasks"].clone();
    for task in tasks.as_array_mut().into_iter().flatten() {
        task["how_far"] = how_far(task).into();
    }
    let columns = [
        ("task", "/id"),
        ("kind", "/kind"),
        ("of", "/subject"),
        ("state", "/state"),
        ("how far", "/how_far"),
        ("by", "/by"),
        ("began", "/started_at"),
    ];
    println!("{}", table(&tasks, &columns));
}

/// How far a task is while it runs, and why it failed afterwards: `trials: 3 of 12`.
fn how_far(task: &Value) -> String {
    if task["state"] != "running" {
        return cell(task.pointer("/error/code"));
    }
    let progress = &task["progress"];
    let (stage, done) = (cell(progress.get("stage")), cell(progress.get("done")));
    let unit = cell(progress.get("unit"));
    match progress["total"].as_u64() {
        Some(total) => format!("{stage}: {done} of {total} {unit}"),
        None => format!("{stage}: {done} {unit}"),
    }
}

fn show(task: &Value) {
    let rows = [
        ("task", "/id"),
        ("kind", "/kind"),
        ("of", "/subject"),
        ("by", "/by"),
        ("state", "/state"),
        ("began", "/started_at"),
        ("ended", "/finished_at"),
    ];
    for (title, pointer) in rows {
        println!("{title:>10}  {}", cell(task.pointer(pointer)));
    }
    if task["state"] == "running" {
        println!("{:>10}  {}", "how far", how_far(task));
    }
    if let Some(problem) = task.pointer("/error/detail") {
        let code = cell(task.pointer("/error/code"));
        println!("{:>10}  {} ({code})", "error", cell(Some(problem)));
    }
    if let Some(result) = task.get("result") {
        println!("{result:#}");
    }
}

/// What came of asking a task to stop.
fn asked(task: &Value) -> String {
    match task["state"] == "running" {
        true => "asked to stop; `boathouse task wait` tells when it has".to_owned(),
        false => format!("it had ended before: {}", cell(task.get("state"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_task_is_takes_one_cell() {
        let progress = json!({"stage": "trials", "done": 3, "total": 12, "unit": "trials"});
        let running = json!({"state": "running", "progress": progress});
        assert_eq!(how_far(&running), "trials: 3 of 12 trials");
        let unknown = json!({"stage": "reading", "done": 3, "unit": "rows"});
        let running = json!({"state": "running", "progress": unknown});
        assert_eq!(how_far(&running), "reading: 3 rows");
        let failed =
            json!({"state": "failed", "progress": progress, "error": {"code": "bad_file"}});
        assert_eq!(how_far(&failed), "bad_file");
        let done = json!({"state": "succeeded", "progress": progress});
        assert_eq!(how_far(&done), "-");
    }

    #[test]
    fn what_had_ended_is_not_asked_to_stop() {
        assert!(asked(&json!({"state": "running"})).starts_with("asked"));
        assert!(asked(&json!({"state": "failed"})).ends_with("failed"));
    }
}
