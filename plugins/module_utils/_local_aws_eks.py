# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EKS in the look-alike: from a request to the answer of its operation."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import (
    _local_aws_eks_access,
    _local_aws_eks_addons,
    _local_aws_eks_capabilities,
    _local_aws_eks_catalogue,
    _local_aws_eks_clusters,
    _local_aws_eks_nodegroups,
    _local_aws_eks_pod_identity,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError, invalid
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_model import Asked, Model, model
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import Call, Caller, Handler, World

OPERATIONS: Mapping[str, Handler] = {
    **_local_aws_eks_catalogue.OPERATIONS,
    **_local_aws_eks_clusters.OPERATIONS,
    **_local_aws_eks_nodegroups.OPERATIONS,
    **_local_aws_eks_addons.OPERATIONS,
    **_local_aws_eks_access.OPERATIONS,
    **_local_aws_eks_pod_identity.OPERATIONS,
    **_local_aws_eks_capabilities.OPERATIONS,
}
SERVICE = "eks"
_TOKEN = "clientRequestToken"  # noqa: S105  (a name)


def service() -> Model:
    """The model of EKS."""
    return model(SERVICE)


def answer(world: World, caller: Caller, region: str, asked: Asked) -> bytes:
    """Do what is asked for.

    :raises AwsError: it cannot be done.
    """
    handler = OPERATIONS.get(asked.operation)
    if not handler:
        raise AwsError(
            "NotImplementedException",
            f"{asked.operation} is not in the look-alike of EKS. It can be tried with a real account only.",
            501,
        )
    params = service().parse(asked)
    call = Call(world, asked.operation, region, caller, params)
    with world.lock:
        token = params.get(_TOKEN)
        place = (caller.account, region, asked.operation, str(token))
        if token and place in world.answers:
            before, result = world.answers[place]
            if before != params:
                raise invalid(f"The {_TOKEN} was used before, with other parameters.")
            return service().render(asked.operation, result)
        result = handler(call)
        if token:
            world.answers[place] = copy.deepcopy((params, result))
        # Under the lock: what is answered goes on changing.
        return service().render(asked.operation, result)
