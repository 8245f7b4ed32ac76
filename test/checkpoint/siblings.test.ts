/** @file Files that only almost belong to a model: each is refused by name before anything is computed with it. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, cacheGraph, openBase } from '../../node/checkpoint/base.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import { UserError } from '../../node/errors.ts';
import { encodeSafetensors, type NamedTensor, openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { fixture, temporaryFolder } from '../support.ts';
import { TOKENIZER } from './words.ts';

const root = temporaryFolder();
process.env.LORIKEET_CACHE = join(root, 'cache'); // what is spoilt below stays here
let made = 0;

/** A small base, some of its files changed: fields set, text written as it is, or what a function makes of the bytes. */
function base(files: Record<string, object | string | ((bytes: Buffer) => Uint8Array)>): string {
  const folder = join(root, String(made++));
  cpSync(fixture('bert-qv'), folder, { recursive: true });
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(TOKENIZER));
  writeFileSync(join(folder, 'tokenizer_config.json'), '{"do_lower_case":true}');
  for (const [name, change] of Object.entries(files)) {
    const path = join(folder, name);
    if (typeof change === 'string') writeFileSync(path, change);
    else if (typeof change === 'function') writeFileSync(path, change(readFileSync(path)));
    else writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
  }
  return folder;
}
const model = (fields: object) => ({ 'tokenizer.json': { model: { ...TOKENIZER.model, ...fields } } });
const vocab = (words: object) => model({ vocab: { ...TOKENIZER.model.vocab, ...words } });
const added = (...tokens: unknown[]) => ({
  'tokenizer.json': { added_tokens: [...TOKENIZER.added_tokens, ...tokens] },
});
const weights = (change: (tensors: NamedTensor[]) => NamedTensor[]) => (bytes: Buffer) => {
  const path = join(root, 'weights');
  writeFileSync(path, bytes);
  const file = openSafetensors(path);
  const all = [...file.tensors].map(([name, { shape }]) => ({ name, shape, data: tensorData(file, name) }));
  return encodeSafetensors(change(all), {});
};
const withTensor = (name: string) => ({
  'model.safetensors': weights((all) => [...all, { name, shape: [1], data: Float32Array.of(1) }]),
});
const header = (text: string) => (): Uint8Array => {
  const bytes = Buffer.alloc(8 + text.length);
  bytes.writeBigUInt64LE(BigInt(text.length));
  bytes.write(text, 8);
  return bytes;
};
const opened = (folder: string): Promise<Error | null> =>
  openBase(folder)
    .then((found) => found.expand())
    .then(
      () => null,
      (error: Error) => error,
    );

const REFUSED: readonly [what: string, folder: string, pattern: RegExp][] = [
  [
    'fewer layers than the file has',
    base({ 'config.json': { num_hidden_layers: 1 } }),
    /holds tensor bert\.encoder\.layer\.1\./,
  ],
  [
    'more layers than anybody has',
    base({ 'config.json': { num_hidden_layers: 1e8 } }),
    /num_hidden_layers is 100000000; wanted/,
  ],
  [
    'a tensor of another model',
    base(withTensor('classifier.bias')),
    /holds tensor classifier\.bias, which the model of config/,
  ],
  ['an adapter within', base(withTensor('bert.encoder.layer.0.output.dense.lora_A.weight')), /holds tensor .*lora_A/],
  [
    'a type that is not the architecture',
    base({ 'config.json': { model_type: 'roberta' } }),
    /model_type is "roberta", architectures is BertForMaskedLM/,
  ],
  [
    'architectures that are no list',
    base({ 'config.json': { architectures: 'BertForMaskedLM' } }),
    /architectures is "BertForMaskedLM"; wanted a list/,
  ],
  [
    'an architecture named as objects name things',
    base({ 'config.json': { architectures: ['toString'] } }),
    /architecture toString is not known/,
  ],
  [
    'an epsilon of nothing',
    base({ 'config.json': { layer_norm_eps: 0 } }),
    /layer_norm_eps is 0; wanted a positive number/,
  ],
  [
    'a config that says a thing twice',
    base({ 'config.json': (b) => Buffer.from(`{"hidden_act":"relu",${String(b).slice(1)}`) }),
    /config\.json: hidden_act stands twice/,
  ],
  ['a config that is null', base({ 'config.json': 'null' }), /config\.json: holds no JSON object/],
  ['a tokenizer that is null', base({ 'tokenizer.json': 'null' }), /tokenizer\.json: holds no JSON object/],
  ['a tokenizer without a model', base({ 'tokenizer.json': '{}' }), /tokenizer\.json: has no model/],
  [
    'a tokenizer of another kind',
    base(model({ type: 'WordLevel' })),
    /model\.type is "WordLevel"; wanted WordPiece, BPE or Unigram/,
  ],
  [
    'no word for what is unknown',
    base(model({ unk_token: '<unk>' })),
    /model\.unk_token is "<unk>", which is no token of it/,
  ],
  [
    'a number that is text',
    base(vocab({ fine: '7' })),
    /token "fine" has the number "7"; the embeddings have 128 rows/,
  ],
  ['two tokens of one number', base(vocab({ fine: 6 })), /6 is the number of "bad" and of "fine"/],
  ['a token of two numbers', base(added({ id: 9, content: '[MASK]' })), /token "\[MASK\]" has the numbers 4 and 9/],
  ['an added token on another', base(added({ id: 6, content: '<new>' })), /6 is the number of "bad" and of "<new>"/],
  ['an added token that is none', base(added('x')), /added_tokens holds "x"; wanted tokens with content and id/],
  [
    'added tokens that are no list',
    base({ 'tokenizer.json': { added_tokens: null } }),
    /added_tokens is null; wanted a list/,
  ],
  [
    'capitals told apart here and not there',
    base({ 'tokenizer_config.json': '{"do_lower_case":false}' }),
    /do_lower_case is false, lowercase in tokenizer\.json is true/,
  ],
  [
    'a pointer instead of weights',
    base({ 'model.safetensors': 'version https://git-lfs.github.com/spec/v1\n' }),
    /a pointer of Git LFS/,
  ],
  ['a web page instead of weights', base({ 'model.safetensors': '<!DOCTYPE html><html></html>' }), /a web page/],
  ['a header that is null', base({ 'model.safetensors': header('null') }), /the header is no object/],
  ['a header that is a list', base({ 'model.safetensors': header('[]') }), /the header is no object/],
];
for (const [what, folder, pattern] of REFUSED)
  test(`${what} is refused by name`, async () => {
    const error = await opened(folder);
    assert.instance(error, UserError, String(error));
    assert.match(error!.message, pattern);
    assert.not.match(error!.message, /\n/);
  });

test('what takes no part in what is computed may stand beside it', async () => {
  for (const name of ['bert.pooler.dense.bias', 'cls.seq_relationship.bias', 'bert.embeddings.position_ids'])
    assert.is(await opened(base(withTensor(name))), null);
  assert.is(await opened(base({ 'config.json': { hidden_act: undefined, model_type: null } })), null);
  assert.is(await opened(base({ 'tokenizer_config.json': '{}' })), null);
});

test('weights of other kinds are named, and that there are none', async () => {
  for (const [name, pattern] of [
    ['model.gguf', /its weights are in model\.gguf; wanted model\.safetensors/],
    ['notes.txt', /holds no weights; wanted model\.safetensors/],
  ] as const) {
    const folder = base({ [name]: 'x' });
    for (const file of ['model.safetensors', 'expected.safetensors']) rmSync(join(folder, file), { force: true });
    assert.match(String(await opened(folder)), pattern);
  }
});

test("a cache with the weights of another base, or a folder in a graph's place, is not believed", async () => {
  const nudged = (x: number) => ({
    'model.safetensors': weights((all) => all.map((t, i) => (i === 0 ? { ...t, data: t.data.map((y) => y + x) } : t))),
  });
  const [one, other] = [await openBase(base(nudged(1))), await openBase(base(nudged(2)))];
  const whole = await baseVector(one);
  await other.expand();
  rmSync(one.cache, { recursive: true });
  cpSync(other.cache, one.cache, { recursive: true });
  assert.equal(await baseVector(await openBase(one.path)), whole);
  rmSync(join(one.cache, WEIGHTS_FILE));
  mkdirSync(join(one.cache, WEIGHTS_FILE));
  assert.match(String(await opened(one.path)), /weights\.bin: cannot be written .*set LORIKEET_CACHE/);
  const path = await cacheGraph(other, Uint8Array.of(1, 2, 3));
  rmSync(path);
  mkdirSync(path);
  const error = await cacheGraph(other, Uint8Array.of(1, 2, 3)).catch((e: Error) => e);
  assert.match(String(error), /\.onnx: cannot be written .*set LORIKEET_CACHE/);
});

test('a home that is empty, or caches named by nothing, make no cache in the working folder', async () => {
  const folder = base({});
  const names = ['HOME', 'LORIKEET_CACHE', 'XDG_CACHE_HOME'] as const;
  const before = names.map((name) => process.env[name]);
  try {
    Object.assign(process.env, { HOME: '', LORIKEET_CACHE: '', XDG_CACHE_HOME: 'relative' });
    assert.match(String(await opened(folder)), /no home folder for the cache \(HOME is empty\); set LORIKEET_CACHE/);
    process.env.LORIKEET_CACHE = join(folder, 'config.json');
    assert.match(String(await opened(folder)), /weights\.bin: cannot be written .*set LORIKEET_CACHE/);
    process.env.LORIKEET_CACHE = '';
    process.env.XDG_CACHE_HOME = join(root, 'shared');
    assert.match((await openBase(folder)).cache, /shared\/lorikeet\//);
  } finally {
    for (const [i, name] of names.entries())
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
  }
});

test.run();
