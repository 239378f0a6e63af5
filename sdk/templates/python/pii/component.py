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
        kind = types.PluginKind.PII
        return types.Description(own.name, own.version, kind, own.summary, list(own.reads), own.deterministic, [])

    def detect(self, table):
        try:
            findings = plugin.detect(sdk.table_of(table))
        except sdk.Declined as declined:
            raise Err(WHY[declined.why](declined.text))
        return [finding_of(finding) for finding in findings]


def finding_of(own):
    evidence = wit_world.Evidence(own.tested, own.matched, own.checksum_passed, float(own.name_evidence))
    scope = wit_world.Scope.WHOLE_COLUMN if own.whole_column else wit_world.Scope.SOME_VALUES
    return wit_world.Finding(own.column, own.kind, own.country, scope, float(own.confidence), evidence, [])
