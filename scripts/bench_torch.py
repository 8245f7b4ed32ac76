"""Steps of PyTorch + PEFT beside ours: the same shapes and lengths, in turn, medians, and the ratio.

    python3 scripts/bench_torch.py [--turns 5] [--data FILE] [small minilm base train]

Wants `npm run build`, torch, transformers and peft. Prints a JSON line each: ratio below 1 is ours being faster; ours is timed with
the base in float32 and in int8. `--data` gives texts whose lengths `train` takes. `torch_gflops` is the rate of its plain product.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForMaskedLM

WORDS = torch.tensor([5, 6])
WARM = 2


def ours(*arguments):
    command = ["node", "dist/scripts/bench.js", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def model_of(shape):
    config = BertConfig(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["feedForward"],
        max_position_embeddings=256,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], lora_dropout=0.0)
    return get_peft_model(model, lora).train()


def stepper(shape):
    """A step on token ids [B, T], mask [B, T], scored positions [B], classes [B]."""
    model = model_of(shape)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)
    inner = model.base_model.model

    def step(ids, mask, position, classes, whole):
        optimiser.zero_grad()
        if whole:
            rows = inner(input_ids=ids, attention_mask=mask).logits[torch.arange(len(ids)), position]
            logits = rows[:, WORDS]
        else:
            hidden = inner.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            states = inner.cls.predictions.transform(hidden[torch.arange(len(ids)), position])
            decoder = inner.cls.predictions.decoder
            logits = states @ decoder.weight[WORDS].T + inner.cls.predictions.bias[WORDS]
        loss = torch.nn.functional.cross_entropy(logits, classes)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()

    return step


def timed(run):
    began = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - began)


def compare_step(name, turns):
    first = ours("step", "--shape", name, "--rounds", "3")
    shape = first[name]["shape"]
    step = stepper(shape)
    ids = torch.randint(10, shape["vocabulary"], (shape["batch"], shape["tokens"]))
    mask = torch.ones_like(ids)
    position = torch.randint(0, shape["tokens"], (shape["batch"],))
    classes = torch.arange(shape["batch"]) % 2
    run = lambda: step(ids, mask, position, classes, whole=False)
    for _ in range(WARM):
        run()
    node, int8, python = [], [], []
    for _ in range(turns):
        own = ours("step", "--shape", name, "--rounds", "7")[name]
        node.append(own["step"]["ms"])
        int8.append(own["step_int8"]["ms"])
        python.append(statistics.median(timed(run) for _ in range(7)))
    report("step " + name, node, python)
    report("step " + name + ", int8", int8, python)


def compare_train(turns, data):
    options = ["--data", data] if data else []
    first = ours("train", "--rounds", "1", *options)
    shape, lengths, size = first["shape"], first["lengths"], first["batch"]
    step = stepper(shape)

    def batches(pad_to):
        for at in range(0, len(lengths), size):
            own = torch.tensor(lengths[at : at + size])
            width = max(int(own.max()), pad_to)
            mask = (torch.arange(width)[None, :] < own[:, None]).long()
            ids = torch.randint(10, shape["vocabulary"], mask.shape) * mask
            yield ids, mask, own - 2, torch.arange(len(own)) % 2

    def epoch(pad_to, whole):
        for batch in batches(pad_to):
            step(*batch, whole=whole)

    loops = {"padded to the longest, masked head": (0, False), "padded to 128, whole logits": (128, True)}
    node, int8, python = [], [], {name: [] for name in loops}
    for _ in range(turns):
        own = ours("train", "--rounds", "3", *options)
        node.append(1000 * len(lengths) / own["examples_per_second"])
        int8.append(1000 * len(lengths) / own["examples_per_second_int8"])
        for name, loop in loops.items():
            python[name].append(timed(lambda: epoch(*loop)))
    for name in loops:
        report("train, " + name, node, python[name], count=len(lengths))
        report("train, int8, " + name, int8, python[name], count=len(lengths))


def report(name, node, python, count=None):
    own, other = statistics.median(node), statistics.median(python)
    line = {"what": name, "ours_ms": round(own, 1), "torch_ms": round(other, 1), "ratio": round(own / other, 3)}
    if count:
        line |= {"ours_per_second": round(1000 * count / own, 1), "torch_per_second": round(1000 * count / other, 1)}
    about = {"threads": torch.get_num_threads(), "torch": torch.__version__, "torch_gflops": PRODUCT}
    print(json.dumps(line | about), flush=True)


def product_rate(n=1024):
    a, b = torch.randn(n, n), torch.randn(n, n)
    ms = statistics.median(timed(lambda: a @ b) for _ in range(15))
    return round(2 * n**3 / ms / 1e6)


PRODUCT = product_rate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--data")
    parser.add_argument("what", nargs="*", default=["small", "minilm", "base", "train"])
    given = parser.parse_args()
    for what in given.what:
        compare_train(given.turns, given.data) if what == "train" else compare_step(what, given.turns)


main()
