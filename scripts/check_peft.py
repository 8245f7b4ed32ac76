"""Loads exported adapters in Hugging Face PEFT and compares their logits with ours.

    npm run build
    python3 -m venv venv && venv/bin/pip install torch transformers peft
    venv/bin/python scripts/check_peft.py FOLDER... [--merged FOLDER...]

FOLDER holds an adapter, as `lorikeet export` writes it. AutoPeftModel (or AutoPeftModelForCausalLM) loads it on the base that it
names; our side is dist/scripts/logits.js. With --merged the same logits are wanted of those folders, loaded by transformers alone.
Prints a line a folder, and ends with 1 where one is off by more than 1e-4 of the norm of the logits.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import warnings

import torch
import transformers
from peft import AutoPeftModel, AutoPeftModelForCausalLM

warnings.filterwarnings("ignore")
transformers.utils.logging.disable_progress_bar()

TOLERANCE = 1e-4
SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "dist" / "scripts" / "logits.js"


def questions(config, seed=1, count=3, length=11):
    """Token ids at random, of several lengths, and three places of each whose logits are wanted."""
    dice = random.Random(seed)
    most = min(config.vocab_size, 1 << 16)
    sequences = [[dice.randrange(5, most) for _ in range(length - 2 * i)] for i in range(count)]
    return sequences, [[0, len(ids) // 2, len(ids) - 1] for ids in sequences]


def ours(adapter, base, sequences, positions):
    command = ["node", str(SCRIPT), "--adapter", adapter] + (["--base", base] if base else [])
    asked = json.dumps({"sequences": sequences, "positions": positions})
    done = subprocess.run(command, input=asked, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return torch.tensor(json.loads(done.stdout)["logits"])


@torch.no_grad()
def theirs(model, sequences, positions):
    rows = [model(input_ids=torch.tensor([ids])).logits[0, places] for ids, places in zip(sequences, positions)]
    return torch.cat(rows).float()


def load_adapter(folder, config):
    kind = AutoPeftModelForCausalLM if config["task_type"] == "CAUSAL_LM" else AutoPeftModel
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def load_merged(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForMaskedLM if "Masked" in config.architectures[0] else transformers.AutoModelForCausalLM
    model, found = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[kind]:
            sys.exit(f"{folder}: {kind}: {sorted(found[kind])[:3]}")
    return model.eval()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", nargs="+", metavar="FOLDER")
    arguments.add_argument("--base", help="base model for our side, where the folder should not say")
    arguments.add_argument("--merged", nargs="+", help="folders of --format merged to compare as well, one for each FOLDER")
    given = arguments.parse_args()
    worst = 0.0
    for i, folder in enumerate(given.folders):
        config = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
        model = load_adapter(folder, config)
        sequences, positions = questions(model.config)
        wanted = theirs(model, sequences, positions)
        with model.disable_adapter():
            base = theirs(model, sequences, positions)
        got = ours(folder, given.base, sequences, positions)
        figures = {
            "adapter": folder,
            "model": type(model.get_base_model()).__name__,
            "error": ((got - wanted).norm() / wanted.norm()).item(),
            "adapterMoves": ((wanted - base).norm() / base.norm()).item(),
        }
        if given.merged:
            merged = theirs(load_merged(given.merged[i]), sequences, positions)
            figures["mergedError"] = ((merged - wanted).norm() / wanted.norm()).item()
        worst = max(worst, figures["error"], figures.get("mergedError", 0.0))
        print(json.dumps(figures), flush=True)
    sys.exit(0 if worst <= TOLERANCE else 1)


main()
