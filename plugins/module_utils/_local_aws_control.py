# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be asked of the look-alike itself, below /local-aws/: health, settings, counts, and to begin anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_app import CONTROL, Answer, as_json
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_calls import Calls
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_errors import AwsError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._local_aws_world import World

Further = Callable[[str, list[str], Mapping[str, str], bytes], Answer]


class Control:
    """Answers requests about the look-alike.

    :arg reset: Empties moto.
    :arg further: What others answer, by the first part of the path after /local-aws/; they are given the rest of it.
    """

    def __init__(
        self, world: World, calls: Calls, reset: Callable[[], None], further: Mapping[str, Further] | None = None
    ) -> None:
        self._world, self._calls, self._reset, self._further = world, calls, reset, dict(further or {})

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request."""
        what, *rest = path.removeprefix(CONTROL).strip("/").split("/")
        try:
            if what in self._further:
                return self._further[what](method, rest, headers, body)
            return self._own(method, what, body)
        except AwsError as error:
            return as_json({"code": error.code, "message": error.message}, error.status)
        except ValueError as error:
            return as_json({"code": "BadRequest", "message": str(error)}, 400)

    def _own(self, method: str, what: str, body: bytes) -> Answer:
        settings = self._world.settings
        match (method, what):
            case ("GET", "health"):
                clusters = {"/".join(key): item.shape["status"] for key, item in self._world.clusters.items()}
                return as_json({"status": "ok", "real": self._world.planes is not None, "clusters": clusters})
            case ("GET", "settings"):
                return as_json(settings.shown())
            case ("POST", "settings"):
                with self._world.lock:
                    settings.update(json.loads(body))
                return as_json(settings.shown())
            case ("GET", "calls"):
                return as_json(self._calls.shown())
            case ("DELETE", "calls"):
                self._calls.forget()
                return as_json({})
            case ("POST", "reset"):
                self._world.forget()
                self._reset()
                self._calls.forget()
                return as_json({})
        raise AwsError("NotFound", f"There is no {method} {CONTROL}{what}.", 404)
