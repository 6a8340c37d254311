"""Which region has which instance types, as cfn-lint's authors find them in AWS' price list.

``python -m aws.offers FILE``, with the Python that has cfn-lint, writes them; without FILE it prints them. The file is
committed: checks need no cfn-lint. A new version of cfn-lint brings a new one (./hack/generate).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any

REGIONS = ("us-east-1", "us-west-2", "us-gov-west-1", "us-gov-east-1")
"""For which the template is meant, and cfn-lint asked."""
AMD64 = re.compile(r"(t3a?|[mr][5-8](a|i|i-flex)?)\.(large|\d*xlarge)")
"""Of general use and with much memory, without disks or networks of their own: what nodes may be."""
WHERE = "data/schemas/extensions/aws_ec2_instance/instancetype_enum.json"


def table(offered: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The table. ``offered``: region -> ``enum`` of its types."""
    return {
        "of": f"cfn-lint {version}",
        "source": f"cfnlint/{WHERE}, which its authors make of AWS' price list",
        "regions": {region: sorted(filter(AMD64.fullmatch, offered[region]["enum"])) for region in REGIONS},
    }


def text(made: Mapping[str, Any]) -> str:
    """A table, a region on each line."""
    regions = ",\n".join(f"  {json.dumps(region)}: {json.dumps(kinds)}" for region, kinds in made["regions"].items())
    head = f' "of": {json.dumps(made["of"])},\n "source": {json.dumps(made["source"])}'
    return f'{{\n{head},\n "regions": {{\n{regions}\n }}\n}}\n'


def main(words: list[str]) -> None:
    """Writes the table of the cfn-lint that is installed."""
    offered = json.loads(resources.files("cfnlint").joinpath(WHERE).read_text(encoding="utf-8"))
    made = text(table(offered, metadata.version("cfn-lint")))
    if words:
        Path(words[0]).write_text(made)
    else:
        sys.stdout.write(made)


if __name__ == "__main__":
    main(sys.argv[1:])
