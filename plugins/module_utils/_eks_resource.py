# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine of every module that owns an EKS resource: read, plan, apply step by step, wait, delete."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws import Aws, Service, preload
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._aws_wait import Deadline, pause, wait_until
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._eks_plan import Kind, Live, Plan, Step, View, nested
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._module import Result, Task
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import DUMPER, yaml

_MOVING = ("CREATING", "UPDATING", "PENDING")
_USELESS = ("FAILED", "CREATE_FAILED")
_MISSES = 8
_IAM_ATTEMPTS, _IAM_PAUSE = 5, 4.0

preload("eks")


class Resource:
    """One resource, and what a task does to it.

    :arg kind: What it is, and what is wanted of it.
    """

    def __init__(self, task: Task, kind: Kind, eks: Service) -> None:
        self.task = task
        self.kind = kind
        self.kind.predicting = task.check_mode
        self.eks = eks
        self.deadline = Deadline(task.params.get("wait_timeout", 600))
        self.wait = bool(task.params.get("wait", True))

    def read(self) -> Live | None:
        """As EKS describes it, None where there is none (nor a cluster that could have it)."""
        try:
            return self.kind.find(self.eks)
        except AwsError as error:
            if error.code in ("ResourceNotFoundException", "NotFoundException"):
                return None
            raise

    def present(self) -> Result:
        """Make it as wanted."""
        live = self.read()
        if live is not None and self.kind.status(live) == "DELETING":
            live = self._gone(live)
        plan = self._planned(live)
        if self.task.check_mode:
            return self._result(plan, self._predicted(live, plan), warn_of=live)
        if live is not None and (plan.steps or self.wait) and self._moving(live):
            live = self._settled()
            plan = self._planned(live)
        for number, step in enumerate(plan.steps, 1):
            self._take(step, wait=self.wait or number < len(plan.steps))
        if plan.steps:
            live = self._settled() if self.wait else self.read()
        return self._result(plan, self.kind.view(live), warn_of=live)

    def absent(self) -> Result:
        """Have it gone."""
        live = self.read()
        deleting = live is not None and self.kind.status(live) == "DELETING"
        plan = Plan((), {}, {}) if deleting else self.kind.removal(live)
        if not self.task.check_mode and live is not None:
            if plan.steps and self.kind.status(live) in ("CREATING", "UPDATING"):
                live = self._settled()
            for step in plan.steps:
                self._take(step, wait=True)
            if self.wait and self.kind.status(live or {}):
                self._gone(live)
        return self._result(plan, None)

    # Steps

    def _planned(self, live: Live | None) -> Plan:
        if live is not None and self.kind.status(live) in _USELESS:
            found = self.kind.issues(live)
            raise HubspokeError(
                f"The {self.kind} is {self.kind.status(live)}{f': {found}' if found else ''}.",
                "Delete it (state: absent), put right what is said there, and run again.",
            )
        self.kind.prepare(self.eks, live)
        plan = self.kind.plan(live)
        if plan.steps:
            self.kind.verify(self.eks, live, plan)
        return plan

    def _take(self, step: Step, *, wait: bool) -> None:
        self.task.progress(f"{self.kind}: {step.does}")
        answer = self._called(step)
        update = answer.get("update") or {}
        if wait and update.get("id"):
            self._updated(update["id"], step)
            # Its state lags behind, and until it is ACTIVE again EKS refuses the next change.
            self._settled()

    def _called(self, step: Step) -> dict[str, t.Any]:
        """A role that was made a moment ago is not known to all of AWS yet: EKS refuses it for some seconds."""
        for attempt in range(_IAM_ATTEMPTS):
            try:
                return self.eks.call(step.operation, f"The {self.kind} cannot be {_participle(step)}", **step.request)
            except AwsError as error:
                if attempt + 1 == _IAM_ATTEMPTS or not _of_a_new_role(error):
                    if step.operation.startswith("delete_") and error.code == "ResourceInUseException":
                        error.remedy = "Delete what belongs to it first: node groups, Fargate profiles, capabilities."
                    raise
                if not attempt:
                    self.task.progress(f"{self.kind}: waiting for IAM, which may not know the role everywhere yet")
            pause(_IAM_PAUSE)
        raise AssertionError("not reached")

    def _updated(self, update_id: str, step: Step) -> None:
        """An update that failed leaves the resource ACTIVE: only the update itself says so."""
        request = {**self.kind.update_key(), "updateId": update_id}

        def look() -> str:
            update = self.eks.call("describe_update", f"An update of the {self.kind} cannot be followed", **request)
            found = update.get("update") or {}
            if found.get("status") in ("Failed", "Cancelled"):
                errors = found.get("errors") or []
                text = "; ".join(f"{error.get('errorCode')}: {error.get('errorMessage')}" for error in errors)
                ended = found["status"].lower()
                raise HubspokeError(
                    f"The update of the {self.kind} ({step.does}) {ended}{f': {text}' if text else ''}.",
                    "Put that right and run again.",
                    aws_code=errors[0].get("errorCode", "") if errors else "",
                )
            return "" if found.get("status") == "Successful" else f"updating ({step.does})"

        wait_until(look, str(self.kind), self.deadline, self.task.progress)

    def _settled(self) -> Live:
        """Wait until nothing is under way any more."""
        seen: Live = {}
        missed = 0

        def look() -> str:
            nonlocal seen, missed
            live = self.read()
            if live is None:
                # What was just made may not be read everywhere yet.
                missed += 1
                if missed < _MISSES:
                    return "not to be seen"
                raise HubspokeError(f"The {self.kind} went away while it was waited for.", "Something else deleted it.")
            seen, status = live, self.kind.status(live)
            if status in _USELESS or status == "DELETING":
                found = self.kind.issues(live)
                raise HubspokeError(
                    f"The {self.kind} became {status}{f': {found}' if found else ''}.",
                    "Delete it (state: absent), put right what is said there, and run again.",
                )
            return status if status in _MOVING else ""

        wait_until(look, str(self.kind), self.deadline, self.task.progress)
        return seen

    def _gone(self, live: Live | None) -> Live | None:
        """Wait until it is no longer there; in check mode it is taken to be."""
        if self.task.check_mode:
            return None

        def look() -> str:
            nonlocal live
            live = self.read()
            if live is not None and self.kind.status(live) == "DELETE_FAILED":
                raise HubspokeError(
                    f"The {self.kind} cannot be deleted: {self.kind.issues(live) or 'DELETE_FAILED'}.",
                    "Put that right and run again.",
                )
            return self.kind.status(live) or "there" if live is not None else ""

        wait_until(look, str(self.kind), self.deadline, self.task.progress)
        return None

    def _moving(self, live: Live) -> bool:
        return self.kind.status(live) in _MOVING

    # Results

    def _predicted(self, live: Live | None, plan: Plan) -> View:
        return {**self.kind.view(live), **plan.after} if plan.steps else self.kind.view(live)

    def _result(self, plan: Plan, view: View | None, warn_of: Live | None = None) -> Result:
        if warn_of is not None and self.kind.status(warn_of) in ("DEGRADED", "UPDATE_FAILED"):
            found = self.kind.issues(warn_of)
            self.task.warn(f"The {self.kind} is {self.kind.status(warn_of)}{f': {found}' if found else ''}.")
        result: Result = {
            "changed": bool(plan.steps),
            self.kind.answer: nested(view or {}),
            "actions": [step.does for step in plan.steps],
        }
        if self.task.diff:
            header = str(self.kind)
            shown = plan if plan.steps else Plan((), plan.before, plan.before)
            result["diff"] = {
                "before_header": header,
                "after_header": header,
                "before": dump(nested(shown.before)),
                "after": dump(nested(shown.after)),
            }
        return result


def run_resource(task: Task, make: t.Callable[[t.Mapping[str, t.Any]], Kind], service: str = "eks") -> Result:
    """What the module of any kind of resource does.

    :arg service: Whose it is, as boto3 names it.
    """
    aws = Aws(task.params)
    resource = Resource(task, make(task.params), aws.service(service))
    result = resource.absent() if task.params.get("state") == "absent" else resource.present()
    return aws.with_calls(result, task.params)


def dump(view: View) -> str:
    """As YAML, for people; empty where there is nothing."""
    return str(yaml.dump(view, Dumper=DUMPER, sort_keys=True, allow_unicode=True)) if view else ""


def _of_a_new_role(error: AwsError) -> bool:
    return error.code == "InvalidParameterException" and bool(re.search(r"\b(role|principal)\b", error.text, re.I))


def _participle(step: Step) -> str:
    for verb in ("create", "delete", "update", "tag", "untag"):
        if step.operation.startswith(f"{verb}_"):
            return {"tag": "tagged", "untag": "untagged"}.get(verb, f"{verb}d")
    return f"changed ({step.does})"
