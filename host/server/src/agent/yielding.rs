//! Work that makes way: a trial, or judging what was tried, is given up as soon as there is a reason to.
//!
//! Load that comes and a person who stops the agent are looked for every [`WATCH`]; the work is cancelled then and
//! waited for, so that nothing of it runs on. It is a task like any other: people see it, and may cancel it.

use std::{future::Future, sync::Arc, time::Duration};

use boathouse_types::IndexName;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{app::App, problem::Problem, tasks::TaskContext};

/// Kind of the task.
const KIND: &str = "agent";
/// Time between two looks at whether the work has to be given up.
const WATCH: Duration = Duration::from_millis(100);

/// Why work came to nothing.
pub(super) enum Unfinished {
    /// It had to make way, and goes on later.
    Yielded(String),
    /// A person cancelled its task.
    Cancelled,
    /// The host stops.
    Stopping,
    /// It failed.
    Failed(Problem),
}

/// Runs work on an index as a task, until its end or until it has to be given up. The work gives its result and what
/// its task shows of that, and must end soon after its task is cancelled.
///
/// # Errors
/// [`Unfinished`].
pub(super) async fn run<T, F>(
    app: &Arc<App>,
    index: &IndexName,
    work: impl FnOnce(TaskContext) -> F,
) -> Result<T, Unfinished>
where
    T: Send + 'static,
    F: Future<Output = Result<(T, Value), Problem>> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let host = Arc::clone(app);
    app.tasks.start(KIND, index.as_str(), |task| {
        let work = work(task.clone());
        async move {
            let (outcome, answer) = match watched(&host, &task, work).await {
                Ok((result, shown)) => (Ok(result), Ok(shown)),
                Err(why) => {
                    let problem = why.as_problem();
                    (Err(why), Err(problem))
                }
            };
            // Nobody waits for it any more when the host stops.
            let _ = tell.send(outcome);
            answer
        }
    });
    told.await.unwrap_or_else(|_| {
        let panicked = std::io::Error::other("a task of the agent ended in a panic");
        Err(Unfinished::Failed(Problem::internal(&panicked)))
    })
}

async fn watched<T>(
    app: &App,
    task: &TaskContext,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Unfinished> {
    let mut work = std::pin::pin!(work);
    let why = tokio::select! {
        biased;
        done = &mut work => return done.map_err(|problem| cause(app, problem)),
        why = interruption(app) => why,
    };
    task.cancellation().cancel();
    // What was too late to be given up counts.
    work.await.map_err(|_| Unfinished::Yielded(why))
}

fn cause(app: &App, problem: Problem) -> Unfinished {
    if problem.code != "cancelled" {
        return Unfinished::Failed(problem);
    }
    match app.tasks.background().stopping().is_cancelled() {
        true => Unfinished::Stopping,
        false => Unfinished::Cancelled,
    }
}

/// Waits until work has to be given up, and says why.
async fn interruption(app: &App) -> String {
    let mut ticks = tokio::time::interval(WATCH);
    loop {
        ticks.tick().await;
        if let Some(why) = app.agent.tuning.interruption(app) {
            return why;
        }
    }
}

impl Unfinished {
    /// What its task says of it.
    fn as_problem(&self) -> Problem {
        match self {
            Self::Failed(problem) => problem.clone(),
            Self::Yielded(why) => Problem {
                detail: format!("given up for now: {why}"),
                ..Problem::cancelled()
            },
            Self::Cancelled | Self::Stopping => Problem::cancelled(),
        }
    }
}
