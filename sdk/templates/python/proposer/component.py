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
        kind = types.PluginKind.PROPOSER
        return types.Description(own.name, own.version, kind, own.summary, list(own.reads), own.deterministic, [])

    def propose(self, context):
        try:
            answer = plugin.propose(sdk.context_of(context))
        except sdk.Declined as declined:
            raise Err(WHY[declined.why](declined.text))
        if isinstance(answer, sdk.Exhausted):
            return wit_world.Proposal_Exhausted(answer.why)
        return wit_world.Proposal_Configuration(wit_world.Configuration(list(answer.settings), answer.reason))
