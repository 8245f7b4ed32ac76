/**
 * @file GGUF files with bytes changed, cut out, repeated and torn off: each is read or refused by a typed error of one
 * line, in little memory. LORIKEET_MUTANTS="SEED COUNT" replays a seed or tries more.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { DEQUANTISERS, readRows } from '../../node/formats/dequantise.ts';
import { GGML_TYPES } from '../../node/formats/ggml.ts';
import { openGguf } from '../../node/formats/gguf.ts';
import { ggufTokenizer } from '../../node/formats/gguf-tokenizer.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';
import { ggufBytes, type Typed, u64, type Written, written } from './parts/writer.ts';

const [SEED, COUNT] = (process.env.LORIKEET_MUTANTS ?? '11 2000').split(' ').map(Number) as [number, number];
const REPLAY = (i: number): string =>
  `seed ${SEED}, mutant ${i}: LORIKEET_MUTANTS="${SEED} ${i + 1}" node dist/scripts/test.js formats/mutants`;
const MOST_BYTES = 64 << 20;
const golden = JSON.parse(readFileSync(join(fixture('gguf'), 'tokenizers.json'), 'utf8'));

/** A small tensor of every type that is read. */
const tensors: Record<string, Written> = Object.fromEntries(
  [...GGML_TYPES]
    .filter(([, { name }]) => name in DEQUANTISERS)
    .map(([type, { name, block, bytes }]) => [
      name,
      { type, lengths: [block, 2], data: new Uint8Array(2 * bytes).map((_, i) => 37 * i) },
    ]),
);
const bytes = golden.byteLevel.tokens.slice(0, 258);
const spm = golden.sentencePiece.plain;
const BASES: readonly Uint8Array[] = [
  ggufBytes(
    {
      'general.alignment': [4, 32],
      'general.name': [8, 'a'],
      'split.count': [2, 1],
      numbers: [9, [12, [0.5, 1, 2]]],
      lists: [
        9,
        [
          9,
          [
            [8, ['x', 'y']],
            [0, [1, 2, 3]],
          ],
        ],
      ],
      long: [10, 2n ** 60n],
    },
    tensors,
  ),
  ggufBytes(
    metadata({
      model: [8, 'gpt2'],
      pre: [8, 'llama-bpe'],
      tokens: [9, [8, [...bytes, 'ab']]],
      token_type: [9, [5, [3, 3, ...new Array(257).fill(1)]]],
      merges: [9, [8, ['a b']]],
      bos_token_id: [4, 1],
    }),
  ),
  ggufBytes(
    metadata({
      model: [8, 'llama'],
      tokens: [9, [8, spm.tokens.slice(0, 300)]],
      token_type: [9, [5, spm.types.slice(0, 300)]],
      scores: [9, [6, spm.scores.slice(0, 300)]],
    }),
    { w: tensors.Q6_K! },
  ),
];

function metadata(keys: Record<string, Typed>): Record<string, Typed> {
  return Object.fromEntries(Object.entries(keys).map(([key, typed]) => [`tokenizer.ggml.${key}`, typed]));
}

/** What counts and lengths are wrong by. */
const NUMBERS: readonly (number | bigint)[] = [
  0,
  1,
  2,
  3,
  8,
  9,
  255,
  2 ** 20,
  2 ** 24,
  2 ** 31,
  2n ** 32n,
  2n ** 40n,
].concat([2n ** 53n, 2n ** 61n, 2n ** 63n, 2n ** 64n - 1n] as never[]);

const CHANGES: readonly ((file: number[], at: number, prng: Prng) => void)[] = [
  (file, at, prng) => {
    file[at]! ^= 1 << prng.below(8);
  },
  (file, at, prng) => {
    file[at] = prng.below(256);
  },
  (file, at, prng) => {
    for (const [i, byte] of u64(NUMBERS[prng.below(NUMBERS.length)]!).entries())
      if (at + i < file.length) file[at + i] = byte;
  },
  (file, at, prng) => {
    file.splice(at, 1 + prng.below(16));
  },
  (file, at, prng) => {
    file.splice(at, 0, ...file.slice(at, at + 1 + prng.below(64)));
  },
  (file, at) => {
    file.length = at;
  },
  (file, at, prng) => {
    const from = prng.below(file.length);
    for (let i = 0; i < 16 && from + i < file.length && at + i < file.length; i++) file[at + i] = file[from + i]!;
  },
];

function mutantOf(prng: Prng): Uint8Array {
  const file = [...BASES[prng.below(BASES.length)]!];
  for (let left = 1 + prng.below(3); left > 0 && file.length > 0; left--) {
    // Half of the changes are where the counts and lengths stand.
    const at = prng.below(prng.below(2) === 0 ? file.length : Math.min(file.length, 400));
    CHANGES[prng.below(CHANGES.length)]!(file, at, prng);
  }
  return Uint8Array.from(file);
}

/** Everything that is read of a file; what each step refuses is refused there. */
function readAll(path: string, refused: (error: unknown) => void): void {
  const attempt = <T>(use: () => T): T | undefined => {
    try {
      return use();
    } catch (error) {
      refused(error);
      return undefined;
    }
  };
  const file = attempt(() => openGguf(path));
  if (!file) return;
  for (const key of file.keys.keys()) attempt(() => file.value(key));
  for (const [name, { shape }] of file.tensors)
    attempt(() => readRows(file, name, new Float32Array(shape.reduce((a, b) => a * b, 1))));
  const tokenizer = attempt(() => ggufTokenizer(file));
  if (!tokenizer) return;
  for (const form of [tokenizer.whole, tokenizer.content]) {
    const { ids } = new Tokenizer(form, tokenizer.config).encode('abc <|start|>  \u00e9');
    assert.ok(
      ids.every((id: number) => id >= 0 && id < tokenizer.vocabulary.length),
      `ids ${ids}`,
    );
  }
}

test(`${COUNT} mutants of seed ${SEED} are read, or refused in one line, within 64 MiB`, () => {
  const root = createPrng(SEED);
  const messages = new Set<string>();
  for (const base of BASES) readAll(written(base), () => {});
  const before = process.resourceUsage().maxRSS;
  const path = written(new Uint8Array(0));
  for (let i = 0; i < COUNT; i++) {
    written(mutantOf(root.fork(`${i}`)), path);
    try {
      readAll(path, (error) => {
        assert.instance(error, UserError, String((error as Error).stack));
        const { message } = error as UserError;
        assert.ok(message.startsWith(`${path}: `) && !message.includes('\n') && message.length < 1000, message);
        messages.add(message.replace(/[0-9]+|"[^"]*"/g, '#'));
      });
    } catch (error) {
      assert.unreachable(`${(error as Error).message}; ${REPLAY(i)}`);
    }
  }
  const grown = (process.resourceUsage().maxRSS - before) * 1024;
  assert.ok(grown < MOST_BYTES, `${grown} bytes more; ${REPLAY(COUNT - 1)}`);
  assert.ok(messages.size > 30, `only ${messages.size} kinds of refusals`);
});

test('the unchanged files are read whole', () => {
  for (const [i, base] of BASES.entries())
    readAll(written(base), (error) =>
      assert.match(String(error), i === 0 ? /tokenizer\.ggml\.model is missing/ : /never/),
    );
});

test.run();
