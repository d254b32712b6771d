"""tools/check is green on the tree and red on a planted violation of each kind."""
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PLANTS = {  # name -> (file, text, words that must appear)
    "layer": ("src/pure/base/plant.c", '#include "engine/net/net.h"\n', "layer:"),
    "face": ("src/domain/policy/plant.c", '#include "pure/codec/json_int.h"\n', "face:"),
    "gateway opens store": ("src/service/gateway/plant.c", '#include "engine/store/store.h"\n', "ban:"),
    "gateway serves admit": ("src/service/gateway/plant.c", '#include "service/admit/admit.h"\n', "ban:"),
    "cli opens store": ("src/app/cli/plant.c", '#include "engine/store/store.h"\n', "ban:"),
    "banned call": ("src/service/gateway/plant.c", "int f(void)\n{\n\treturn atoi(x);\n}\n", "banned: atoi"),
    "bare malloc": ("src/pure/codec/plant.c", "void f(void)\n{\n\tp = malloc(3);\n}\n", "banned: malloc"),
    "impure clock": ("src/domain/delegation/plant.c", "void f(void)\n{\n\ttime(0);\n}\n", "banned: time"),
    "library": ("src/service/gateway/plant.c", "#include <sqlite3.h>\n", "library:"),
    "long function": ("src/service/gateway/plant.c", "void f(void)\n{\n" + "\tg();\n" * 71 + "}\n", "size: function"),
    "long file": ("src/service/gateway/plant.c", "\n" * 901, "size: 901"),
    "long header": ("src/service/gateway/plant.h", "\n" * 251, "size: header"),
    "nesting": ("src/service/gateway/plant.c", "void f(void)\n{\n\t\t\t\t\t\tif (x) {\n\t\t\t\t\t\t}\n}\n", "nesting:"),
    "early way out": ("src/service/gateway/plant.c", "err_t f(void)\n{\n\tAUTO(buf_done) buf_t b;\n\n\tTRY(g());\n\tbuf_init(&b, 9);\n}\n",
                      "cleanup: b"),
    "cycle": ("src/pure/base/plant.c", '#include "pure/codec/codec.h"\n', "cycle:"),
    "no readme": ("src/pure/extra/plant.c", "\n", "readme:"),
}


def check(root):
    run = subprocess.run([sys.executable, str(ROOT / "tools/check"), str(root)], capture_output=True, text=True)
    return run.returncode, run.stdout


def test_the_tree_is_clean():
    code, out = check(ROOT)
    assert code == 0, out


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_violation_turns_it_red(name, tmp_path):
    file, text, words = PLANTS[name]
    shutil.copytree(ROOT / "src", tmp_path / "src")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    code, out = check(tmp_path)
    assert code == 1 and words in out, out
