/** @file ONNX models as Optimum lays them out: onnxruntime gives PyTorch's logits, with keys and values kept or all at once. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openAdapter } from '../../node/adapter.ts';
import { type Feed, openSession, type Session } from '../../node/engine/session.ts';
import { writeOnnx } from '../../node/export/onnx.ts';
import { openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { fixture, temporaryFolder } from '../support.ts';

interface Case {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly position: number[];
}

const ids = (rows: readonly (readonly number[])[]): Feed => ({
  data: BigInt64Array.from(rows.flat(), BigInt),
  dims: [rows.length, rows[0]!.length],
});

/** Exports the adapter that a fixture has learned; opens it as another program would. */
async function exported(name: string): Promise<Session> {
  const opened = await openAdapter(join(fixture(name), 'adapter-trained'), fixture(name));
  const folder = temporaryFolder();
  await writeOnnx(folder, { ...opened, named: { base: 'org/base', revision: null }, facts: {} });
  assert.equal(readdirSync(folder).sort(), ['README.md', 'config.json', 'onnx']);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  assert.equal(config['transformers.js_config'], { use_external_data_format: true });
  return openSession(join(folder, 'onnx', 'model.onnx'), 'cpu', { threads: 1 });
}

function caseOf(name: string): Case & { readonly wanted: Float32Array } {
  const spec: Case = JSON.parse(readFileSync(join(fixture(name), 'case.json'), 'utf8'));
  return {
    ...spec,
    wanted: tensorData(openSafetensors(join(fixture(name), 'expected.safetensors')), 'logits_trained'),
  };
}

/** That the rows [B, V] of logits [B, T, V] at the positions are PyTorch's. */
function assertRows(logits: Float32Array, { position, wanted }: ReturnType<typeof caseOf>, from = 0): void {
  const vocabulary = wanted.length / position.length;
  const tokens = logits.length / wanted.length;
  position.forEach((at, b) => {
    if (at < from) return;
    for (let v = 0; v < vocabulary; v++) {
      const [got, right] = [logits[(b * tokens + at - from) * vocabulary + v]!, wanted[b * vocabulary + v]!];
      assert.ok(Math.abs(got - right) < 1e-4 * (1 + Math.abs(right)), `row ${b}, word ${v}: ${got}, wanted ${right}`);
    }
  });
}

for (const name of ['bert-qv', 'roberta-qv', 'modernbert-all'])
  test(`${name}: the logits of every token`, async () => {
    const session = await exported(name);
    const spec = caseOf(name);
    const zeros = spec.input_ids.map((row) => row.map(() => 0));
    const { logits } = await session.run(
      {
        input_ids: ids(spec.input_ids),
        attention_mask: ids(spec.attention_mask),
        ...(name === 'bert-qv' ? { token_type_ids: ids(zeros) } : {}),
      },
      ['logits'],
    );
    await session.release();
    assertRows(logits as Float32Array, spec);
  });

/** Layers, heads of keys and their width of the small models. */
const CACHES = { 'llama-qv': [2, 2, 8], 'gpt2-qv': [2, 4, 8], 'gemma3-qv': [3, 1, 12], 'mistral-window-qv': [2, 2, 8] };

for (const [name, [layers, heads, width]] of Object.entries(CACHES))
  test(`${name}: the logits of every token, all at once and after keys and values that were kept`, async () => {
    const session = await exported(name);
    const spec = caseOf(name);
    const names = Array.from({ length: layers! }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
    const outputs = ['logits', ...names.map((n) => `present.${n}`)];
    const [batch, tokens] = [spec.input_ids.length, spec.input_ids[0]!.length];
    const run = (from: number, to: number, past: Record<string, Float32Array>) =>
      session.run(
        {
          input_ids: ids(spec.input_ids.map((row) => row.slice(from, to))),
          position_ids: ids(spec.input_ids.map((row) => row.map((_, t) => t).slice(from, to))),
          attention_mask: ids(spec.attention_mask.map((row) => row.slice(0, to))),
          ...Object.fromEntries(
            names.map((n) => [
              `past_key_values.${n}`,
              { data: past[`present.${n}`] ?? new Float32Array(0), dims: [batch, heads!, from, width!] },
            ]),
          ),
        },
        outputs,
      ) as Promise<Record<string, Float32Array>>;
    assertRows((await run(0, tokens, {})).logits!, spec);
    const first = await run(0, 6, {});
    const second = await run(6, 7, first);
    const third = await run(7, tokens, second);
    await session.release();
    assertRows(third.logits!, spec, 7);
  });

test.run();
