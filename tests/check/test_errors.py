"""docs/errors.md says what the error table says."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_page_is_fresh():
    run = subprocess.run([ROOT / "tools/gen-errors", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
