"""{{name}}: decides which trial is best.

A trial is feasible when it meets the objective. Trials are ranked into Pareto fronts by recall, p95 latency and
memory. The score is recall, less 0.2 for every millisecond of p95 latency: change it to your taste.
"""

from boathouse_sdk import Description, Verdict, fronts

DESCRIPTION = Description(
    name="{{name}}",
    version="0.1.0",
    summary="Recall, less 0.2 for every millisecond of p95 latency.",
    reads=("recall", "recall_low", "latency_p95_us", "memory_bytes"),
)


def evaluate(trials, objective):
    # Less is better on every axis.
    aims = [(-trial.recall, trial.latency_p95_us, trial.memory_bytes) for trial in trials]
    return [
        Verdict(
            feasible=objective.is_met_by(trial),
            front=front,
            score=trial.recall - 0.2 * trial.latency_p95_us / 1000.0,
        )
        for trial, front in zip(trials, fronts(aims))
    ]
