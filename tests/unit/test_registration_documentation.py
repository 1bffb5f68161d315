# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cluster's options are documented alike in both modules, and are those of their argument specification."""

from __future__ import annotations

import json

import yaml

from ansible_collections.hubspoke.bootstrap.plugins.doc_fragments.argocd_cluster import ModuleDocFragment
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_arguments import CLUSTER_SPEC


def test_both_modules_say_the_same() -> None:
    one = yaml.safe_load(ModuleDocFragment.CLUSTER)["options"]
    many = yaml.safe_load(ModuleDocFragment.CLUSTERS)["options"]["clusters"]["suboptions"]
    assert json.loads(json.dumps(many).replace("O(clusters[].", "O(")) == one
    assert set(one) == set(CLUSTER_SPEC)
