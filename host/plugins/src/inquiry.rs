//! Questions that can be put to an instance, one type a kind: the question in the shape of the contract,
//! and what its answer is held against.
//!
//! An inquiry can be put more than once, each time to a fresh instance.

use boathouse_types::{
    Finding, Knob, Objective, Proposal, ProposalContext, TableSample, Trial, Verdict,
};
use wasmtime::Store;

use crate::{
    Limits,
    answer::{Flaw, TableShape, Untrusted},
    bindings::{
        pii::{self, PiiPre},
        proposer::{self, ProposerPre},
        scoring::{self, ScoringPre},
        types,
    },
    guest::GuestState,
    question::{self, Unfit},
};

/// Seed of a guest's random numbers where the question brings none.
const SEED: u64 = 0x0b0a_7b0a;

/// A question to one kind of guest.
pub(crate) trait Inquiry {
    /// What the guest returns.
    type Said;
    /// What is left of it after the checks.
    type Answer;

    /// Whether the guest sees values of the data: its own words may quote them then, so the host neither
    /// logs nor repeats them.
    const SEES_VALUES: bool = false;

    /// Seed of the guest's random numbers.
    fn seed(&self) -> u64 {
        SEED
    }

    /// Asks a fresh instance.
    fn put(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<Result<Self::Said, types::Error>>;

    /// Checks what it returned.
    fn check(&self, said: Untrusted<Self::Said>, limits: &Limits) -> Result<Self::Answer, Flaw>;
}

/// Which configuration to try next?
pub(crate) struct Proposing {
    pre: ProposerPre<GuestState>,
    context: proposer::Context,
    knobs: Vec<Knob>,
}

/// Which trial is best?
pub(crate) struct Evaluating {
    pre: ScoringPre<GuestState>,
    journal: types::Trials,
    objective: types::Objective,
    asked: usize,
}

/// Which columns hold personal data?
pub(crate) struct Detecting {
    pre: PiiPre<GuestState>,
    table: pii::Table,
    shape: TableShape,
}

impl Proposing {
    pub(crate) fn new(
        pre: &ProposerPre<GuestState>,
        context: &ProposalContext,
    ) -> Result<Self, Unfit> {
        Ok(Self {
            pre: pre.clone(),
            context: question::context(context)?,
            knobs: context.knobs.clone(),
        })
    }
}

impl Evaluating {
    pub(crate) fn new(
        pre: &ScoringPre<GuestState>,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Self, Unfit> {
        Ok(Self {
            pre: pre.clone(),
            journal: question::journal(trials)?,
            objective: question::objective(objective),
            asked: trials.len(),
        })
    }
}

impl Detecting {
    pub(crate) fn new(pre: &PiiPre<GuestState>, table: &TableSample) -> Result<Self, Unfit> {
        Ok(Self {
            pre: pre.clone(),
            table: question::table(table)?,
            shape: TableShape::of(table),
        })
    }
}

impl Inquiry for Proposing {
    type Said = proposer::Proposal;
    type Answer = Proposal;

    fn seed(&self) -> u64 {
        self.context.seed
    }

    fn put(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<Result<Self::Said, types::Error>> {
        let instance = self.pre.instantiate(&mut *store)?;
        instance.call_propose(store, &self.context)
    }

    fn check(&self, said: Untrusted<Self::Said>, limits: &Limits) -> Result<Proposal, Flaw> {
        said.proposal(&self.knobs, limits)
    }
}

impl Inquiry for Evaluating {
    type Said = scoring::Verdicts;
    type Answer = Vec<Verdict>;

    fn put(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<Result<Self::Said, types::Error>> {
        let instance = self.pre.instantiate(&mut *store)?;
        instance.call_evaluate(store, &self.journal, &self.objective)
    }

    fn check(&self, said: Untrusted<Self::Said>, limits: &Limits) -> Result<Vec<Verdict>, Flaw> {
        said.verdicts(self.asked, limits)
    }
}

impl Inquiry for Detecting {
    type Said = Vec<pii::Finding>;
    type Answer = Vec<Finding>;

    const SEES_VALUES: bool = true;

    fn put(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<Result<Self::Said, types::Error>> {
        let instance = self.pre.instantiate(&mut *store)?;
        instance.call_detect(store, &self.table)
    }

    fn check(&self, said: Untrusted<Self::Said>, limits: &Limits) -> Result<Vec<Finding>, Flaw> {
        said.findings(&self.shape, limits)
    }
}
