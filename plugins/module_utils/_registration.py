# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cluster: its manager account on the spoke, its credential, its Secret on the hub.

Nothing is written on the hub before the credential has been tried, exactly as Argo CD will use it.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_account as accounts
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_hub_probe as hub_probe
from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_plan as planning
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_outcome import (
    CREATED,
    REMOVED,
    UNCHANGED,
    UPDATED,
    Options,
    Outcome,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_plan import Connection, Desired
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
    probe,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_secret import (
    ACCOUNT,
    EXPIRES,
    IN_CLUSTER,
    IN_SECRET,
    MANAGER,
    RULES,
    Registered,
    claims,
    normalized,
    secret_name,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spec import (
    AWS,
    CLIENT_CERTIFICATE,
    EXEC,
    FULL,
    NEVER,
    ON_CHANGE,
    TOKEN,
    TOKEN_SECRET,
    Account,
    Wanted,
    check_reachable_from_hub,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_spoke import (
    Access,
    Api,
    access,
    as_registered,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_trial import Trial

Object = dict[str, t.Any]

Place = tuple[Connection, Access | None]
"""How Argo CD is to connect to a cluster, and how it is reached from here."""


@dataclass
class _Credential:
    """What a cluster is to be reached with."""

    token: str = ""
    reason: str = ""
    account_changes: tuple[str, ...] = ()
    replaces: str = ""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Registrar:
    """Registers clusters on one hub; used by several threads.

    :arg hub: None in check mode, where the hub is yet to be made.
    :arg before_write: Called before the first change, as often as there is one.
    """

    def __init__(self, hub: Kube | None, options: Options, before_write: Callable[[], None]) -> None:
        self._hub, self._options, self._before_write = hub, options, before_write
        self._trial = Trial(options.timeout)

    def locate(self, wanted: Wanted) -> Place:
        """Where Argo CD is to connect, and how the spoke is reached from here.

        :raises HubspokeError: neither says where the cluster is.
        """
        found = access(wanted.spoke, self._options.timeout) if wanted.spoke and wanted.spoke_present else None
        server = wanted.server or (found.endpoint.server if found else "")
        if not server:
            return Connection(""), None
        if not wanted.server:
            check_reachable_from_hub(wanted.name, server, self._options.hub_is_local)
        own = found.endpoint if found else Endpoint(server)
        ca = wanted.ca if wanted.ca is not None else own.ca
        name = wanted.server_name
        if name is None:
            name = own.server_name if normalized(own.server) == normalized(server) else ""
        # That this machine does not verify a certificate is no reason for Argo CD not to.
        return Connection(server, "" if wanted.insecure else ca, name, wanted.insecure), found

    # Present

    def present(self, wanted: Wanted, place: Place, found: Registered | None) -> Outcome:
        """Have it registered.

        :arg place: Where it is, as `locate` tells.
        :raises HubspokeError: it cannot be reached, is not what it should be, or may not be changed.
        """
        connection, way = place
        self._check_owner(wanted, found)
        credential = self._credential(wanted, connection, way, found)
        former = self._former_account(wanted, way, found, credential)
        want = planning.desired(wanted, connection, credential.token, found, self._options.owner)
        outcome = self._outcome(wanted, found, want, credential)
        if self._options.check_mode or not outcome.changes:
            return outcome
        self._before_write()
        self._probe_from_hub(connection, found)
        secret = self._write(planning.body(want, found, self._options.namespace))
        outcome.secret = secret["metadata"]["name"]
        if credential.replaces and way:
            forget = partial(accounts.forget_token, account=wanted.account, token=credential.replaces)
            outcome.warnings += self._tidy(way, "the Secret of its former token", forget)
        if former and way:
            drop = partial(accounts.write, found=former, owner=self._options.owner)
            outcome.warnings += self._tidy(way, "its former account", drop)
        return outcome

    def _former_account(
        self, wanted: Wanted, way: Access | None, found: Registered | None, credential: _Credential
    ) -> accounts.Found | None:
        """The account that it had and has no use for any more; it goes once Argo CD does not need it."""
        account = str(wanted.account) if wanted.makes_account else ""
        if not found or not found.annotations.get(ACCOUNT) or found.account in ("", account):
            return None
        try:
            if way is None:
                raise HubspokeError("spoke is not given.")
            with Api(way) as api:
                former = accounts.former(api, accounts.account_of(found), self._options.owner)
        except HubspokeError as error:
            stays = f"its former account {found.account} stays on the spoke: {error.message.rstrip('.')}"
            credential.warnings.append(stays)
            return None
        credential.account_changes += former.changes
        credential.notes += former.notes
        return former

    def _tidy(self, way: Access, what: str, remove: Callable[[Api], object]) -> list[str]:
        """Remove from the spoke what was replaced; that it could not be is told, as what replaces it is in use."""
        try:
            with Api(way) as api:
                remove(api)
        except HubspokeError as error:
            return [f"{what} could not be removed from the spoke: {error.message.rstrip('.')}"]
        return []

    def _probe_from_hub(self, connection: Connection, found: Registered | None) -> None:
        """What is registered at this address already is Argo CD's own to tell."""
        known = found is not None and normalized(found.server) == normalized(connection.server)
        local = not connection.server.startswith("https://") or normalized(connection.server) == normalized(IN_CLUSTER)
        if self._options.hub_image and self._hub and not known and not local:
            hub_probe.probe(
                self._hub, self._options.namespace, connection, self._options.hub_image, self._options.timeout
            )

    def _check_owner(self, wanted: Wanted, found: Registered | None) -> None:
        owner = self._options.owner
        if found and found.owner and owner and found.owner != owner and not self._options.take_over:
            raise HubspokeError(
                f"owner is {owner}, but Secret {found.secret} is owned by {found.owner}.",
                "Register it from one inventory only; take_over: true moves it to this one.",
            )

    def _outcome(self, wanted: Wanted, found: Registered | None, want: Desired, credential: _Credential) -> Outcome:
        changes = planning.changes(want, found)
        # Most clusters of most runs do not change, and what is not shown need not be put together.
        before, after = planning.shown(want, found) if changes or credential.account_changes else ({}, {})
        if credential.account_changes:
            after = {**after, "account": list(credential.account_changes)}
        expires = want.annotations.get(EXPIRES)
        return Outcome(
            name=wanted.name,
            server=want.data["server"],
            secret=found.secret if found else secret_name(want.data["server"]) if want.data["server"] else "",
            action=CREATED if found is None else UPDATED if changes or credential.account_changes else UNCHANGED,
            changes=changes,
            account_changes=list(credential.account_changes),
            credential=wanted.credential,
            expires=None if expires in (None, planning.NOT_YET) else expires,
            renewed=credential.reason,
            adopted=found is not None and not found.owner and bool(self._options.owner),
            notes=credential.notes,
            warnings=credential.warnings,
            before=before,
            after=after,
        )

    @property
    def hub(self) -> Kube:
        """The hub, for writing.

        :raises HubspokeError: it is yet to be made.
        """
        if self._hub is None:
            raise HubspokeError("the hub is not there yet.", "Make it first.")
        return self._hub

    def _write(self, body: Object) -> Object:
        metadata = body["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}"
        return self.hub.apply_path(path, body, MANAGER)

    # The credential

    def _credential(
        self, wanted: Wanted, connection: Connection, way: Access | None, found: Registered | None
    ) -> _Credential:
        if wanted.in_cluster or wanted.by_arn:
            return _Credential()
        if not wanted.spoke_present:
            token = found.token if found else planning.NOT_YET
            return _Credential(token if wanted.makes_account else "")
        if not wanted.makes_account:
            return self._given(wanted, connection, way, found)
        reason = planning.renewal(wanted, found, self._options.now, self._options.rotate)
        if reason or found is None:
            return self._issue(wanted, connection, way, found, reason)
        return self._keep(wanted, connection, way, found)

    def _given(
        self, wanted: Wanted, connection: Connection, way: Access | None, found: Registered | None
    ) -> _Credential:
        """A credential of the user's: tried, where it can be from here."""
        result = _Credential()
        if not planning.to_try(wanted, connection, "", found):
            return result
        given = wanted.given
        if wanted.credential in (AWS, EXEC):
            result.notes += self._try_command(wanted, connection)
            return result
        identity = Identity(
            token=given.get("bearerToken", ""),
            username=given.get("username", ""),
            password=given.get("password", ""),
            certificate=given["certificate"] if wanted.credential == CLIENT_CERTIFICATE else "",
            key=given["key"] if wanted.credential == CLIENT_CERTIFICATE else "",
        )
        result.notes += self._trial.probe(wanted, connection, way, identity)
        return result

    def _try_command(self, wanted: Wanted, connection: Connection) -> list[str]:
        """Only the hub has the command and its surroundings for sure; the server itself can be tried."""
        try:
            probe(self._trial.endpoint(wanted, connection), Identity(), ())
        except ProbeError as error:
            if error.kind not in ("unauthenticated", "forbidden"):
                raise
        return [f"credential {wanted.credential} is made by the hub and was not tried from here"]

    def _keep(self, wanted: Wanted, connection: Connection, way: Access | None, found: Registered) -> _Credential:
        """The token that is there, if it still does what it is for."""
        result = _Credential(found.token)
        recorded = found.annotations.get(RULES)
        look = recorded != accounts.digest(wanted.account)
        look = look or (wanted.probe != ON_CHANGE and wanted.account.rules != FULL)
        if planning.to_try(wanted, connection, found.token, found):
            try:
                result.notes += self._trial.probe(wanted, connection, way, Identity(token=found.token))
            except ProbeError as error:
                if error.kind in ("unauthenticated", "clock"):
                    return self._issue(wanted, connection, way, found, "its token is not accepted any more")
                if error.kind != "forbidden":
                    raise
                look = True
        if look and way:
            with Api(way) as api:
                account = self._read(api, wanted, found, result)
                result.account_changes = account.changes
                if account.changes and not self._options.check_mode:
                    self._before_write()
                    result.account_changes = accounts.write(api, account, self._options.owner)
                    if wanted.probe != NEVER:
                        self._trial.prove(wanted, connection, way, found.token)
        return result

    def _issue(
        self, wanted: Wanted, connection: Connection, way: Access | None, found: Registered | None, reason: str
    ) -> _Credential:
        """A new token, proven."""
        if way is None:
            raise HubspokeError(
                f"{reason}, and spoke is not given.", "Give the connection by which the spoke is reached from here."
            )
        with Api(way) as api:
            self._check_is_not_hub(api)
            look = self._options.check_mode or found is not None
            result = _Credential(planning.NOT_YET, reason)
            account = self._read(api, wanted, found, result) if look else accounts.unseen(wanted.account)
            result.account_changes = account.changes
            if found and found.credential == TOKEN_SECRET:
                self._check_former(found, result)
            if self._options.check_mode:
                return result
            self._before_write()
            result.account_changes = accounts.write(api, account, self._options.owner)
            if wanted.credential == TOKEN_SECRET:
                result.token = accounts.token_secret(api, wanted.account, found.token if found else "")
            else:
                result.token = accounts.request_token(api, wanted.account, wanted.lifetime)
                self._check_lifetime(wanted, result)
        if wanted.probe != NEVER:
            result.notes += self._trial.prove(wanted, connection, way, result.token)
        return result

    def _check_former(self, found: Registered, result: _Credential) -> None:
        """A token without an end outlives its registration: ours goes, another's may be in use elsewhere."""
        if found.annotations.get(ACCOUNT):
            result.replaces = found.token
            return
        secret = f"{found.account.partition('/')[0]}/{claims(found.token).get(IN_SECRET)}"
        result.warnings.append(
            f"the token that it had has no end and stays good: delete Secret {secret} of the spoke once nothing uses it"
        )

    def _read(self, api: Api, wanted: Wanted, found: Registered | None, result: _Credential) -> accounts.Found:
        """The account as it is, and what it has too many of since it had other namespaces."""
        former = accounts.account_of(found) if found and found.account == str(wanted.account) else None
        account = accounts.read(api, wanted.account, former, self._options.owner)
        result.notes += account.notes
        return account

    def _check_is_not_hub(self, api: Api) -> None:
        try:
            namespace = api.get_path("/api/v1/namespaces/kube-system")
        except ApiError:
            return  # whoever may not read it may still be allowed what is needed
        if namespace and self._options.hub_id and namespace["metadata"].get("uid") == self._options.hub_id:
            raise HubspokeError(
                "spoke is the hub itself.",
                f"Give server: {IN_CLUSTER} and no spoke, or correct kubeconfig and context.",
            )

    def _check_lifetime(self, wanted: Wanted, result: _Credential) -> None:
        told = claims(result.token)
        granted = int(told.get("exp", 0)) - int(told.get("iat", 0))
        if 0 < granted < wanted.lifetime - 60:
            result.warnings.append(f"token_lifetime: {wanted.lifetime} s asked for, {granted} s granted by the spoke")

    # Absent

    def absent(self, found: Registered, wanted: Wanted | None, account: Account) -> Outcome:
        """Have it registered no longer, and what this inventory made of the account removed."""
        outcome = Outcome(found.name, found.server, found.secret, REMOVED, credential=found.credential)
        outcome.before = planning.shown(Desired({}, {}, {}, {}), found)[0]
        if self._options.check_mode:
            return outcome
        self._before_write()
        self.hub.delete_path(f"/api/v1/namespaces/{self._options.namespace}/secrets/{found.secret}")
        if found.credential in (TOKEN, TOKEN_SECRET) and found.account:
            self._remove_account(outcome, found, wanted, account)
        return outcome

    def _remove_account(self, outcome: Outcome, found: Registered, wanted: Wanted | None, account: Account) -> None:
        try:
            with Api(self._way_to_remove(found, wanted)) as api:
                left = accounts.remove(api, account, self._options.owner)
        except HubspokeError as error:
            why = error.message.rstrip(".")
            outcome.warnings.append(f"its account {found.account} could not be removed from the spoke: {why}")
        else:
            outcome.notes += [f"left on the spoke, since others made it: {', '.join(left)}"] if left else []

    def _way_to_remove(self, found: Registered, wanted: Wanted | None) -> Access:
        """As the user says, or else with the rights of the account itself."""
        if wanted and wanted.spoke:
            with contextlib.suppress(HubspokeError):
                return access(wanted.spoke, self._options.timeout)
        return as_registered(found, self._options.timeout)
