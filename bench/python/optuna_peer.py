"""P4's peer: Optuna's TPE sampler over the same knobs, asked and told by the bench.

Fewest distances, with the floor of recall as a constraint, which is how Optuna wants such an objective.
Everything else is its default. The bench measures what it asks for.
"""

import importlib.metadata

import optuna

import lines

optuna.logging.set_verbosity(optuna.logging.ERROR)

state = {}


def begin(seed, knobs, start):
    """A new study; its first trial is the configuration that serves."""
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({knob["name"]: value for knob, value in zip(knobs, start)})
    state.update(study=study, knobs=knobs, asked=None)
    return {}


def ask():
    trial = state["study"].ask()
    state["asked"] = trial
    settings = [
        trial.suggest_int(knob["name"], knob["min"], knob["max"], step=knob["step"])
        for knob in state["knobs"]
    ]
    return {"settings": settings}


def tell(distances, short):
    """What the trial gave: its work, and by how much its recall misses the floor (0 or less: not at all)."""
    trial = state["asked"]
    trial.set_constraint("recall", short)
    state["study"].tell(trial, distances)
    return {}


name = f"Optuna {importlib.metadata.version('optuna')} TPE"
lines.serve(name, {"begin": begin, "ask": ask, "tell": tell})
