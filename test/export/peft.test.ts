/** @file Adapters made by PEFT: ranks and alphas of their own for some layers, targets as a regular expression, other widths. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openAdapter } from '../../node/adapter.ts';
import { openBase } from '../../node/checkpoint/base.ts';
import { UserError } from '../../node/errors.ts';
import { writePeft } from '../../node/export/peft.ts';
import { encodeSafetensors } from '../../node/formats/safetensors.ts';
import { loraTensors, scaleOf, targetedLinears } from '../../node/model/lora.ts';
import { peftKey, readPeftConfig, readPeftVector } from '../../node/model/peft.ts';
import { fixture, temporaryFolder } from '../support.ts';

const folder = fixture('llama-qv');
const base = await openBase(folder);
const { architecture } = base;
const { linears } = architecture;

type Fields = Record<string, unknown>;

/** An adapter folder of which only the configuration is read. */
function configured(fields: Fields): string {
  const out = temporaryFolder();
  const plain = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] };
  writeFileSync(join(out, 'adapter_config.json'), JSON.stringify({ ...plain, ...fields }));
  return out;
}
const spec = (fields: Fields) => readPeftConfig(configured(fields), linears);
const refusal = (use: () => unknown): string => {
  try {
    use();
  } catch (error) {
    assert.instance(error, UserError, String(error));
    return (error as Error).message;
  }
  return 'was taken';
};

const Q = (layer: number): string => `model.layers.${layer}.self_attn.q_proj`;
const V = (layer: number): string => `model.layers.${layer}.self_attn.v_proj`;

test('targets that are a regular expression match whole names, and are said as short as can be', () => {
  for (const [target_modules, targets] of [
    ['.*q_proj', 'q_proj'],
    [String.raw`model\.layers\.\d+\.self_attn\.(q|v)_proj`, 'q_proj,v_proj'],
    [String.raw`.*\.1\.self_attn\.q_proj`, Q(1)],
    ['.*self_attn.*|.*_proj', 'all'],
    ['ALL-linear', 'all'],
    [['q_proj', 'c_attn'], 'q_proj'],
  ] as const)
    assert.is(spec({ target_modules }).targets, targets);
  assert.match(
    refusal(() => spec({ target_modules: 'q_proj' })),
    /"q_proj", which matches no linear layer.*layers\.0/,
  );
  assert.match(
    refusal(() => spec({ target_modules: ['c_attn'] })),
    /"c_attn".*matches no linear layer/,
  );
});

test('what Python takes for another expression than JavaScript is refused, and so is one that is far too long', () => {
  for (const target_modules of ['(?P<a>q_proj)', String.raw`q_proj\Z`, 'a{,3}', '(?i:Q_PROJ)', '*q_proj', 'q_proj)'])
    assert.match(
      refusal(() => spec({ target_modules })),
      /adapter_config\.json: target_modules cannot be understood/,
    );
  assert.match(
    refusal(() => spec({ target_modules: 'a'.repeat(20_000) })),
    /has a pattern of 20006 characters/,
  );
});

test('the first pattern that fits the end of a name sets its rank and alpha', () => {
  const found = spec({
    rank_pattern: { 'layers.0.self_attn.q_proj': 2, q_proj: 6, proj: 9 },
    alpha_pattern: { 'layers.[1-9]..*v_proj': 3 },
  });
  assert.equal(found.modules, {
    [Q(0)]: { rank: 2, alpha: 8 },
    [Q(1)]: { rank: 6, alpha: 8 },
    [V(1)]: { rank: 4, alpha: 3 },
  });
  assert.is(scaleOf(found, V(0)), 2);
  assert.is(scaleOf(found, Q(0)), 4);
  const rows = loraTensors(targetedLinears(architecture, found.targets), found);
  assert.is(rows.find(({ name }) => name === `${Q(1)}.lora_A`)!.rows, 6);
});

test('a rank-stabilised scale goes by each rank, and patterns that say the same of all are none', () => {
  const found = spec({ rank_pattern: { q_proj: 16 }, use_rslora: true });
  assert.is(scaleOf(found, Q(0)), 8 / Math.sqrt(16));
  assert.is(scaleOf(found, V(0)), 8 / Math.sqrt(4));
  assert.equal(spec({ rank_pattern: { '[qv]_proj': 2 }, alpha_pattern: { up_proj: 1 } }), {
    rank: 2,
    alpha: 8,
    targets: 'q_proj,v_proj',
  });
});

test('patterns that say nothing sensible are refused by name', () => {
  for (const [fields, pattern] of [
    [{ rank_pattern: { q_proj: 1.5 } }, /rank_pattern\.q_proj is 1\.5; wanted a positive integer/],
    [{ alpha_pattern: { q_proj: '2' } }, /alpha_pattern\.q_proj is "2"; wanted a positive number/],
    [{ rank_pattern: [2] }, /rank_pattern is \[2\]; wanted an object/],
    [{ rank_pattern: { '(': 2 } }, /rank_pattern cannot be understood/],
    [{ r: 0 }, /r is 0; wanted a positive integer/],
  ] as const)
    assert.match(
      refusal(() => spec(fields)),
      pattern,
    );
});

test('an adapter with patterns is written as it was read, and a rank that its weights have not is refused', async () => {
  const patterned = configured({ rank_pattern: { q_proj: 2 }, alpha_pattern: { [V(1)]: 5 } });
  const lora = readPeftConfig(patterned, linears);
  const tensors = loraTensors(targetedLinears(architecture, lora.targets), lora);
  const last = tensors.at(-1)!;
  const vector = Float32Array.from({ length: last.offset + last.rows * last.cols }, (_, i) => Math.sin(i));
  const out = temporaryFolder();
  await writePeft(out, { vector, tensors, lora, base: folder, architecture });
  assert.equal(readPeftConfig(out, linears), lora);
  const opened = await openAdapter(out);
  assert.equal(opened.vector, vector);
  assert.equal(opened.settings, null);
  const config = JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8'));
  writeFileSync(join(out, 'adapter_config.json'), JSON.stringify({ ...config, rank_pattern: { [Q(0)]: 1e9 } }));
  const error = await openAdapter(out).then(String, String);
  assert.match(error, /lora_A\.weight is \[2,32\]; this base wants \[1000000000,32\]/);
});

test('factors in float16 are read as they are', () => {
  const out = temporaryFolder();
  cpSync(join(folder, 'adapter-trained'), out, { recursive: true });
  const lora = readPeftConfig(out, linears);
  const tensors = loraTensors(targetedLinears(architecture, lora.targets), lora);
  const halves = tensors.map(({ name, rows, cols }) => ({
    name: peftKey(name),
    shape: [rows, cols],
    data: new Uint16Array(rows * cols).fill(0x3555), // a third
  }));
  writeFileSync(join(out, 'adapter_model.safetensors'), encodeSafetensors(halves, {}));
  assert.ok(readPeftVector(out, tensors).every((x) => x === 0x155 * 2 ** -12 + 2 ** -2));
});

test.run();
