//! The threads on which Lance works.
//!
//! A runtime of its own, so that no scan and no build takes a thread from who serves requests, and so that Lance's own
//! version of anything may differ from the host's. Work that is no longer waited for is stopped at its next await; what it
//! was writing is then there as a whole or not at all, since Lance commits last. A panic ends the work and is an error.

use std::{
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::{Error, error::Cause};

/// A runtime that may be dropped anywhere.
pub(crate) struct Workers(Option<Runtime>);

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(threads: NonZeroUsize) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name("lance")
            .enable_all()
            .build()
            .map_err(|error| Error::Failed(Cause::of(&error.to_string())))?;
        Ok(Self(Some(runtime)))
    }

    /// Does the work on these threads and waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = self.0.as_ref().ok_or(Error::Stopped)?;
        Stopping(runtime.spawn(work)).await
    }

    /// Does what may block on a thread of its own; nobody waits for its end.
    pub(crate) fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn_blocking(work);
        }
    }
}

impl Drop for Workers {
    /// Without waiting: a runtime must not wait for its threads on a thread of another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work that stops when nobody waits for it any more.
struct Stopping<T>(JoinHandle<Result<T, Error>>);

impl<T> Future for Stopping<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| {
            joined.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => {
                    let text = panic
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or_else(|| panic.downcast_ref::<&str>().copied());
                    Err(Error::Failed(Cause::of(text.unwrap_or("a panic"))))
                }
                Err(_) => Err(Error::Stopped),
            })
        })
    }
}

impl<T> Drop for Stopping<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    fn workers() -> Workers {
        Workers::start(NonZeroUsize::MIN).expect("threads")
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_threads_work_on() {
        let workers = workers();
        let broken: Result<(), Error> = workers.run(async { panic!("no such 'name'") }).await;
        let Err(Error::Failed(cause)) = broken else {
            panic!("{broken:?}");
        };
        assert_eq!(cause.to_string(), "no such '...'");
        assert_eq!(workers.run(async { Ok(7) }).await.expect("work"), 7);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped() {
        let workers = Arc::new(workers());
        let (held, dropped) = oneshot::channel::<()>();
        let (began, begun) = oneshot::channel::<()>();
        let work = {
            let workers = Arc::clone(&workers);
            async move {
                let work = async move {
                    let _held = held;
                    began.send(()).ok();
                    std::future::pending::<Result<(), Error>>().await
                };
                workers.run(work).await
            }
        };
        let mut work = Box::pin(work);
        tokio::select! {
            _ = &mut work => panic!("it never ends"),
            begun = begun => begun.expect("it began"),
        }
        drop(work);
        assert!(dropped.await.is_err(), "what it held is dropped");
    }

    #[tokio::test]
    async fn it_may_be_dropped_on_a_thread_of_another_runtime() {
        drop(workers());
    }
}
