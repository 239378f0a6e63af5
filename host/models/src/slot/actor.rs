//! The one writer: takes requests, does one change after the other, and looks in between.
//!
//! The actor polls its one job itself, so everything that writes runs in one task, and requests are taken while a change is
//! under way. Internal jobs (a look, a tidying) stand in the same line; a look gives way to a change at once.

use std::{
    collections::VecDeque,
    future::{self, poll_fn},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    sync::{mpsc, oneshot},
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    Lease, Occupant, SlotState, SwapReport,
    job::{JobEnd, Standing, Work},
    lease::Holding,
};
use crate::{ModelName, ProfileId, SlotError};

/// What a job is to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Give the slot to somebody.
    Give(Occupant),
    /// Take it from somebody.
    Clear(ProfileId),
    /// Take a model out of memory.
    Unload(ModelName),
    /// Bring a model into memory.
    Preload(ModelName),
    /// Take over what an earlier host of this slot has left.
    Adopt,
    /// Compare what the slot believes with what is in memory.
    Look,
    /// Unload what nobody needs.
    Tidy,
}

/// What a change hands to who waited for it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) report: SwapReport,
    /// There when the slot was given to somebody.
    pub(super) lease: Option<Lease>,
}

type Reply = oneshot::Sender<Result<Done, SlotError>>;

/// A request to the actor.
pub(super) enum Command {
    Change {
        wish: Wish,
        reply: Reply,
    },
    Lease {
        profile: ProfileId,
        reply: oneshot::Sender<Result<Lease, SlotError>>,
    },
}

/// A change with who waits for it; nobody does for those of the slot itself.
struct Job {
    wish: Wish,
    waiters: Vec<Reply>,
}

/// The job that is under way.
struct Current {
    job: Job,
    cancel: CancellationToken,
    work: BoxFuture<'static, JobEnd>,
}

enum Progress {
    Ended(Box<JobEnd>),
    /// Nobody waits for it any more.
    Abandoned,
}

/// The slot's actor; [`run`](Self::run) makes it live.
pub struct SlotActor {
    mailbox: mpsc::Receiver<Command>,
    work: Work,
    standing: Standing,
    queue: VecDeque<Job>,
}

impl Job {
    fn internal(wish: Wish) -> Self {
        Self {
            wish,
            waiters: Vec::new(),
        }
    }

    /// Whether all who waited have gone; never when nobody ever did.
    fn is_abandoned(&mut self, context: &mut Context<'_>) -> bool {
        let gone = |waiter: &mut Reply| waiter.poll_closed(context).is_ready();
        !self.waiters.is_empty() && self.waiters.iter_mut().all(gone)
    }

    /// As [`is_abandoned`](Self::is_abandoned), for a job that nobody polls.
    fn was_left(&self) -> bool {
        !self.waiters.is_empty() && self.waiters.iter().all(Reply::is_closed)
    }
}

impl SlotActor {
    pub(super) fn new(mailbox: mpsc::Receiver<Command>, work: Work) -> Self {
        Self {
            mailbox,
            work,
            standing: Standing::default(),
            queue: VecDeque::from([Job::internal(Wish::Adopt)]),
        }
    }

    /// Lives until `stop` fires or all ways to the slot are dropped. Who still waits then is told that the slot is
    /// closed; models stay, and go by their keep-alive or are taken over at the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut current: Option<Current> = None;
        let mut looks = time::interval(self.work.limits.reconcile);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Taking over is the first look.
        looks.reset();
        loop {
            if current.is_none() {
                current = self.begin_next();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                seen = progress(&mut current) => match (seen, current.take()) {
                    (Progress::Ended(end), Some(ended)) => self.settle(ended.job, *end),
                    (_, going) => {
                        if let Some(going) = &going {
                            going.cancel.cancel();
                        }
                        current = going;
                    }
                },
                command = self.mailbox.recv() => match command {
                    Some(Command::Change { wish, reply }) => self.admit(wish, reply, &mut current),
                    Some(Command::Lease { profile, reply }) => {
                        // Who asked may have gone.
                        let _ = reply.send(self.lease(profile));
                    }
                    None => return,
                },
                _ = looks.tick(), if current.is_none() => {
                    self.queue.push_back(Job::internal(Wish::Look));
                }
            }
        }
    }

    /// Takes a request for a change: joins it to the same one, lets it wait, or refuses it.
    fn admit(&mut self, wish: Wish, reply: Reply, current: &mut Option<Current>) {
        let going = current
            .as_mut()
            .filter(|going| !going.cancel.is_cancelled());
        let going = going.map(|going| &mut going.job);
        let mut jobs = going.into_iter().chain(&mut self.queue);
        if let Some(same) = jobs.find(|job| job.wish == wish) {
            same.waiters.push(reply);
            return;
        }
        self.queue.retain(|job| !job.was_left());
        let limit = self.work.limits.queue;
        let waiting = self.queue.iter().filter(|job| !job.waiters.is_empty());
        if waiting.count() >= limit {
            // Who asked may have gone.
            let _ = reply.send(Err(SlotError::QueueFull { limit }));
            return;
        }
        self.queue.push_back(Job {
            wish,
            waiters: vec![reply],
        });
        self.show_queue();
        if current
            .as_ref()
            .is_some_and(|going| going.job.wish == Wish::Look)
        {
            *current = None;
        }
    }

    /// An answer begins, if the profile holds the slot and is not losing it.
    fn lease(&self, profile: ProfileId) -> Result<Lease, SlotError> {
        let holding = self.standing.holding.as_ref();
        match holding.filter(|holding| holding.occupant.profile == profile) {
            None => Err(SlotError::NotActive { profile }),
            Some(holding) if self.work.board.current_state() == SlotState::Ready => {
                Ok(holding.lease())
            }
            Some(_) => Err(SlotError::Changing),
        }
    }

    /// Begins the next job that somebody waits for.
    fn begin_next(&mut self) -> Option<Current> {
        self.queue.retain(|job| !job.was_left());
        let job = self.queue.pop_front()?;
        self.show_queue();
        if let Wish::Give(to) = &job.wish {
            let next = to.profile.clone();
            self.work.board.show(|view| view.next = Some(next));
        }
        let cancel = CancellationToken::new();
        let (work, standing) = (self.work.clone(), self.standing.clone());
        Some(Current {
            work: Box::pin(work.run(job.wish.clone(), standing, cancel.clone())),
            job,
            cancel,
        })
    }

    /// Takes over what a job says is true, shows it, and tells who waited.
    fn settle(&mut self, job: Job, end: JobEnd) {
        self.standing = end.standing;
        // Answers that were told to stop have their own count; new ones begin a new one.
        if let Some(holding) = &self.standing.holding
            && holding.gauge.has_stopped()
        {
            self.standing.holding = Some(Holding::new(holding.occupant.clone()));
        }
        if end.strays {
            self.queue.push_front(Job::internal(Wish::Tidy));
        }
        self.show_standing(&job, &end.result);
        for waiter in job.waiters {
            let given = matches!(job.wish, Wish::Give(_));
            let done = end.result.clone().map(|report| Done {
                report,
                lease: self
                    .standing
                    .holding
                    .as_ref()
                    .filter(|_| given)
                    .map(Holding::lease),
            });
            // Who asked may have gone; a lease goes with the answer then.
            let _ = waiter.send(done);
        }
    }

    fn show_standing(&self, job: &Job, result: &Result<SwapReport, SlotError>) {
        let board = &self.work.board;
        let holding = self.standing.holding.as_ref();
        board.counts(holding.map(|holding| holding.gauge.clone()));
        let state = self.standing.state(&self.work.protections.models());
        let holder = self.standing.occupant().cloned();
        board.show(|view| {
            view.state = state;
            view.holder = holder;
            view.next = None;
            match (result, job.waiters.is_empty()) {
                (Err(SlotError::Server(error)), true) => {
                    view.server_error = Some(error.to_string());
                }
                (Err(error), _) => view.last_error = Some(error.to_string()),
                (Ok(_), false) => view.last_error = None,
                (Ok(_), true) => {}
            }
        });
    }

    fn show_queue(&self) {
        let waiting = self.queue.iter().filter(|job| !job.waiters.is_empty());
        let waiting = waiting.count();
        self.work.board.show(|view| view.waiting = waiting);
    }
}

/// What becomes of the job that is under way; nothing, for ever, when there is none.
async fn progress(current: &mut Option<Current>) -> Progress {
    let Some(current) = current else {
        return future::pending().await;
    };
    poll_fn(|context| {
        if let Poll::Ready(end) = current.work.as_mut().poll(context) {
            return Poll::Ready(Progress::Ended(Box::new(end)));
        }
        if !current.cancel.is_cancelled() && current.job.is_abandoned(context) {
            return Poll::Ready(Progress::Abandoned);
        }
        Poll::Pending
    })
    .await
}
