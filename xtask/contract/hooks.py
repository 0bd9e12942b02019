"""What generated calls must not do, and what they would never do by chance."""

import os

import schemathesis

OWN = os.environ["PODBAY_CONTRACT_KEY"].split("_")[1]
# Each of these has to fit the offer or to exist: with all of them random, no order is ever taken.
CHOICES = "diskSize vcpus memory maxPrice country dataCenterId security sshKeyId prepaidForHr".split()
CHOICES += ["customTemplateId", "jupyterPassword"]


@schemathesis.hook
def filter_case(context, case):
    """The key that it calls with is not revoked."""
    return OWN not in str(case.path_parameters)


@schemathesis.hook
def map_case(context, case):
    """Of the orders that the schema allows, those with a long name or none choose nothing.

    A key that comes twice with the same content is answered with what was made the first time, also when that
    has been deleted since: a walk through what it made would then begin with something that is gone.
    """
    if case.headers and case.meta.generation.mode.is_positive:
        case.headers.pop("Idempotency-Key", None)
    is_order = case.operation.label == "POST /api/v1/pods" and isinstance(case.body, dict)
    if is_order and case.meta.generation.mode.is_positive and len(case.body["pod"].get("name") or "") != 1:
        case.body = {key: case.body[key] for key in ("pod", "provider")}
        case.body["pod"] = {key: value for key, value in case.body["pod"].items() if key not in CHOICES}
    return case
