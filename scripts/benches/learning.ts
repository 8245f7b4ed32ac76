/** @file Benches `scoring` and `experiment`: what labelling unlabelled text and a whole experiment cost. */

import { packBatch } from '../../node/engine/batch.ts';
import { packForScoring } from '../../node/engine/packing.ts';
import { createTrainer } from '../../node/engine/trainer.ts';
import { KINDS, readSentences } from '../../node/texts/reviews.ts';
import { checkSettings, openClassRun } from '../../node/train/run.ts';
import { runExperiment } from '../../sim/learning/experiment.ts';
import { planRuns } from '../../sim/learning/plan.ts';
import { figuresOf } from '../../sim/learning/records.ts';
import { readSpec } from '../../sim/learning/spec.ts';
import { interleave, machine, median, round } from './measure.ts';

const ROUNDS = 7;
/** The forward pass of bench `step`: sequences and tokens each. */
const FORWARD = { batch: 16, tokens: 64 };

/** Tokens a second of scoring reviews of every length, and of a forward pass over full batches, run in turn. */
export async function benchScoring(): Promise<unknown> {
  const run = await openClassRun(checkSettings({}, 'bench'));
  const { lora, labels, task, initial: vector } = run;
  const trainer = await createTrainer({
    base: run.settings.base,
    trainable: { type: 'lora', lora },
    device: 'cpu',
    threads: 0,
  });
  const texts = KINDS.flatMap(({ file }) => readSentences(file)).map((e) => e.text);
  const sequences = texts.map((text) => task.encode(text));
  const full = Array.from({ length: FORWARD.batch * 32 }, () => ({
    ids: new Array(FORWARD.tokens).fill(task.padId + 5),
    positions: [1],
  }));
  const score = (of: typeof sequences) => () => trainer.score({ vector, sequences: of, labels, padId: task.padId });
  const [mixed, plain] = (await interleave([score(sequences), score(full)], ROUNDS)).map(median) as [number, number];
  await trainer.stop();
  const tokens = sequences.reduce((sum, s) => sum + s.ids.length, 0);
  const padded = packForScoring(sequences, { padId: task.padId, classes: task.classes.length }).reduce(
    (sum, p) => sum + p.batch.batch * p.batch.tokens,
    0,
  );
  const forward = (full.length * packBatch(full.slice(0, 1), 0).tokens) / plain;
  return {
    bench: 'scoring',
    ...machine(),
    texts: texts.length,
    tokens,
    padded,
    tokens_per_second: Math.round((1000 * tokens) / mixed),
    forward_tokens_per_second: Math.round(1000 * forward),
    share_of_forward: round(tokens / mixed / forward),
    share_with_padding: round(padded / mixed / forward),
  };
}

/** Sixteen peers, ten rounds of ten steps on the bundled base, soft labels, scoring and evaluation: seconds and memory. */
export async function benchExperiment(workspace: string): Promise<unknown> {
  const spec = readSpec(
    {
      name: 'bench',
      peers: 16,
      seeds: [1],
      methods: ['lp-fl'],
      settings: { rounds: 10, localSteps: 10, softLabels: 'soft' },
    },
    'bench',
  );
  const began = performance.now();
  const records = await runExperiment({
    runs: await planRuns(spec),
    folder: workspace,
    threads: 0,
    signal: new AbortController().signal,
    onProgress: (done, total, label) =>
      process.stderr.isTTY && process.stderr.write(`\r${label} ${round(done / total)}`),
  });
  const final = records.find((r) => r.type === 'final');
  return {
    bench: 'experiment',
    ...machine(),
    peers: 16,
    rounds: 10,
    steps: 10,
    seconds: round((performance.now() - began) / 1000),
    peak_memory_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    accuracy: final?.type === 'final' ? figuresOf(final).mean : null,
  };
}
