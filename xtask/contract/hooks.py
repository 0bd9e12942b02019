"""What generated calls must not do, and what they would never do by chance."""

import os

import schemathesis

OWN = os.environ["PODBAY_CONTRACT_KEY"].split("_")[1]
# Each of these has to fit the offer or to exist: with all of them random, no order is ever taken.
CHOICES = "diskSize vcpus memory maxPrice country dataCenterId security sshKeyId prepaidForHr".split()
CHOICES += ["customTemplateId", "jupyterPassword"]
# The same of the other things that are made: what is left of a body, and what is left of a part of it.
PLAIN = {
    "POST /api/v1/pods": (("pod", "provider"), "pod", CHOICES),
    "POST /api/v1/disks": (("disk", "provider"), "disk", ["country", "dataCenterId"]),
    "POST /api/v1/templates": (("name", "image", "command", "envVars", "ports"), None, []),
    "POST /api/v1/teams": (("name",), None, []),
}


@schemathesis.hook
def filter_case(context, case):
    """The key that it calls with is not revoked."""
    return OWN not in str(case.path_parameters)


@schemathesis.hook
def map_case(context, case):
    """Of the bodies that the schema allows, those with a long name or none choose nothing.

    A key that comes twice with the same content is answered with what was made the first time, also when that
    has been deleted since: a walk through what it made would then begin with something that is gone.
    """
    if case.headers and case.meta.generation.mode.is_positive:
        case.headers.pop("Idempotency-Key", None)
    rule = PLAIN.get(case.operation.label)
    if not rule or not case.meta.generation.mode.is_positive or not isinstance(case.body, dict):
        return case
    kept, part, choices = rule
    named = case.body[part] if part else case.body
    if len(named.get("name") or "") != 1:
        case.body = {key: case.body[key] for key in kept if key in case.body}
        if part:
            case.body[part] = {key: value for key, value in named.items() if key not in choices}
    return case
