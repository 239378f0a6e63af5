//! Who may be at an index.
//!
//! The *turn* is for work that measures and takes long: trials, runs, evaluation sets, promotions that have to be won.
//! The *switch* is for the moment in which what serves changes. A promotion takes it at its end; going back takes nothing
//! else, so an operator can do that whatever is being measured. Who moves, merges or deletes an index is *alone*: has
//! both.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Hold, LiveIndex};
use crate::{indexes::pace::Pace, problem::Problem};

/// The right to run trials on an index: one at a time.
pub type Turn = OwnedMutexGuard<()>;

/// The right to take an index's place or to take it away: nobody tries anything on it, and what serves stays.
#[derive(Debug)]
pub struct Sole {
    _turn: Turn,
    _switch: Hold,
}

impl LiveIndex {
    /// How long its searches take.
    pub(in crate::indexes) fn pace(&self) -> &Pace {
        &self.seat.upkeep.pace
    }

    /// Takes the turn.
    ///
    /// # Errors
    /// 409 when somebody else has it, or when this is not the index any more.
    pub fn take_turn(&self) -> Result<Turn, Problem> {
        let at_it = "somebody is at index `{}`: a trial, an evaluation set, a merge or a move of a person or of the agent; wait for that task or cancel it (`GET /tasks`, `boathouse task list`)";
        self.take(&self.seat.turn, at_it)
    }

    /// Takes the switch, for a moment.
    ///
    /// # Errors
    /// 409 when somebody else has it, or when this is not the index any more.
    pub(crate) fn take_switch(&self) -> Result<Hold, Problem> {
        let at_it = "what serves of index `{}` is being changed by a promotion, a merge or a deletion; try again in a moment";
        self.take(&self.seat.switch, at_it)
    }

    /// Takes turn and switch.
    ///
    /// # Errors
    /// 409 when somebody else has one of them, or when this is not the index any more.
    pub fn take_alone(&self) -> Result<Sole, Problem> {
        Ok(Sole {
            _turn: self.take_turn()?,
            _switch: self.take_switch()?,
        })
    }

    /// Waits for turn and switch.
    pub(in crate::indexes) async fn wait_alone(&self) -> Sole {
        Sole {
            _turn: Arc::clone(&self.seat.turn).lock_owned().await,
            _switch: self.wait_for_switch().await,
        }
    }

    /// Waits for the switch. For who has the turn: nobody has the switch for long then.
    pub(crate) async fn wait_for_switch(&self) -> Hold {
        Arc::clone(&self.seat.switch).lock_owned().await
    }

    /// `at_it` says who may have it, with `{}` for the name.
    fn take(&self, right: &Arc<Mutex<()>>, at_it: &str) -> Result<OwnedMutexGuard<()>, Problem> {
        let name = &self.meta.name;
        let taken = Arc::clone(right).try_lock_owned();
        let why = match (taken, self.moving_to()) {
            (Ok(taken), _) if !self.is_retired() => return Ok(taken),
            (Ok(_), _) => {
                format!("index `{name}` was moved, merged or deleted just now; try again")
            }
            (Err(_), Some(to)) => format!(
                "index `{name}` is being moved to bucket `{to}`; wait for that task or cancel it (`GET /tasks`, `boathouse task list`)"
            ),
            (Err(_), None) => at_it.replace("{}", name.as_str()),
        };
        Err(Problem::conflict("index_busy", why))
    }
}
