"""{{name}}: decides which columns hold personal data.

As an example it knows one kind that no general detector can: the numbers that your company gives its people, an `E`
with six digits. A column is reported when most of its values look like one.
"""

import re

from boathouse_sdk import Description, Finding

DESCRIPTION = Description(
    name="{{name}}",
    version="0.1.0",
    summary="Finds columns with employee numbers.",
    reads=("name", "values"),
)

NUMBER = re.compile(r"E[0-9]{6}")


def detect(table):
    findings = []
    for at, column in enumerate(table.columns):
        matched = sum(1 for value, _ in column.values if NUMBER.fullmatch(value))
        share = matched / max(len(column.values), 1)
        named = "employee" in column.name.lower()
        if matched >= 3 and share >= 0.5:
            findings.append(
                Finding(
                    column=at,
                    kind="employee_number",
                    confidence=(0.99 if named else 0.9) * share,
                    tested=len(column.values),
                    matched=matched,
                    name_evidence=1.0 if named else 0.0,
                )
            )
    return findings
