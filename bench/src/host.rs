//! A release build of `boathouse serve` on a folder of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::process;

/// A running host; killed with this value, and its folder removed.
pub(crate) struct Host {
    child: Child,
    url: String,
    http: reqwest::Client,
    folder: PathBuf,
}

impl Host {
    /// Starts the program beside this one on the folder `bench/data/NAME`, emptied.
    pub(crate) fn start(name: &str) -> Result<Self> {
        Self::beside(name, None)
    }

    /// The same with a model server at an address.
    pub(crate) fn beside(name: &str, model_server: Option<&str>) -> Result<Self> {
        let folder = process::emptied(name)?;
        let (child, url) = serve(&folder, model_server)?;
        Ok(Self {
            url,
            child,
            http: reqwest::Client::new(),
            folder,
        })
    }

    /// Kills the process; its folder stays as it is.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts a host that was killed on its folder.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        (self.child, self.url) = serve(&self.folder, None)?;
        Ok(())
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its data.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<std::net::SocketAddr> {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url);
        address.parse().with_context(|| self.url.clone())
    }

    /// A request that is still to be sent.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    /// Sends a request that must succeed.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        let response = request.send().await?;
        let (status, body) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Sends a request for a task, waits until that has succeeded, and returns it.
    pub(crate) async fn task(&self, request: RequestBuilder) -> Result<Value> {
        self.task_watched(request, Duration::from_millis(50)).await
    }

    /// The same, looking as often as this.
    pub(crate) async fn task_watched(
        &self,
        request: RequestBuilder,
        pause: Duration,
    ) -> Result<Value> {
        let task = self.answer(request).await?;
        let id = task["id"].as_str().context("a task")?;
        loop {
            let url = format!("{}/tasks/{id}", self.url);
            let task = self.answer(self.http.get(url)).await?;
            match task["state"].as_str() {
                Some("running") => tokio::time::sleep(pause).await,
                Some("succeeded") => return Ok(task),
                _ => bail!("{task}"),
            }
        }
    }
}

/// Starts the program on a folder, with the model server that it is to ask if there is one; gives the process and where it listens.
fn serve(folder: &Path, model_server: Option<&str>) -> Result<(Child, String)> {
    let program = std::env::current_exe()?.with_file_name("boathouse");
    if !program.is_file() {
        bail!("no release build of the host: cargo build --release -p boathouse-server");
    }
    let mut child = Command::new(program)
        .args(["serve", "--port", "0", "--data"])
        .arg(folder)
        .envs(model_server.map(|address| ("OLLAMA_HOST", address)))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("standard output")?;
    BufReader::new(out).read_line(&mut line)?;
    let url = line.trim().strip_prefix("listening on ");
    let url = url.with_context(|| format!("the host said {line:?}"))?;
    Ok((child, url.to_owned()))
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
