"""The component's side of `plugin.py`: translates between its types and those of the contract.

`wit_world` and `componentize_py_types` exist inside the component only.
"""

import boathouse_sdk as sdk
import plugin
import wit_world
from componentize_py_types import Err
from wit_world.imports import types

WHY = {"invalid-input": types.Error_InvalidInput, "unsupported": types.Error_Unsupported, "other": types.Error_Other}


class WitWorld(wit_world.WitWorld):
    def describe(self):
        own = plugin.DESCRIPTION
        kind = types.PluginKind.SCORING
        return types.Description(own.name, own.version, kind, own.summary, list(own.reads), own.deterministic, [])

    def evaluate(self, trials, objective):
        try:
            verdicts = plugin.evaluate(sdk.trials_of(trials), sdk.objective_of(objective))
        except sdk.Declined as declined:
            raise Err(WHY[declined.why](declined.text))
        said = any(verdict.reason for verdict in verdicts)
        return wit_world.Verdicts(
            feasible=[verdict.feasible for verdict in verdicts],
            front=[verdict.front for verdict in verdicts],
            score=[float(verdict.score) for verdict in verdicts],
            reasons=[verdict.reason or "" for verdict in verdicts] if said else [],
            extra=[],
        )
