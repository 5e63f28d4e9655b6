import json
import subprocess
import sys
from typing import Any

from edgekd.methods import METHODS

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from edgekd.cli.app import main; sys.exit(main(sys.argv[1:]))"


def test_the_table_needs_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "methods", "--json"], capture_output=True, text=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["methods"]
    assert [each["name"] for each in found] == list(METHODS)
    by_name = {each["name"]: each for each in found}
    assert by_name["kd"]["teacher"] == ["logits", "logits:topk"] and by_name["kd"]["from_cache"] == "logits"
    assert by_name["at"]["from_cache"] == "columns" and by_name["early-exits"]["from_cache"] == "none"
    assert by_name["mlkd"]["views"] == 2 and "2205.10536" in by_name["dist"]["paper"]


def test_every_method_has_a_row(cli: Any) -> None:
    shown = cli("methods").out
    assert {line.split()[0] for line in shown.splitlines()[2:] if line} >= set(METHODS)
    assert "cache-logits --for METHOD" in shown
