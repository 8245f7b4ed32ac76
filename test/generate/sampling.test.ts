/** @file Draws of the next word: greedy, by temperature, from the nucleus; and text that comes out in whole characters. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSampler, likeliest } from '../../node/generate/sampling.ts';
import { createTextStream } from '../../node/generate/text-stream.ts';

const LOGITS = Float32Array.from([0.5, 0.1, 0.2, 0.15, 0.05], Math.log);
const DRAWS = 4000;

function shares(sampling: { temperature: number; topP: number }): number[] {
  const next = createSampler({ ...sampling, seed: 7 });
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < DRAWS; i++) counts[next(LOGITS)]! += 1;
  return counts.map((count) => count / DRAWS);
}

const close = (got: readonly number[], wanted: readonly number[]): void =>
  got.forEach((share, i) => {
    assert.ok(Math.abs(share - wanted[i]!) < 0.03, `${got}, wanted ${wanted}`);
  });

test('temperature 0 takes the likeliest word, the first of equals', () => {
  assert.equal(shares({ temperature: 0, topP: 1 }), [1, 0, 0, 0, 0]);
  assert.is(likeliest(Float32Array.of(1, 3, 2, 3)), 1);
});

test('words are drawn as often as the softmax says, at any temperature', () => {
  close(shares({ temperature: 1, topP: 1 }), [0.5, 0.1, 0.2, 0.15, 0.05]);
  const squares = [0.25, 0.01, 0.04, 0.0225, 0.0025];
  const total = squares.reduce((a, b) => a + b, 0);
  close(
    shares({ temperature: 0.5, topP: 1 }),
    squares.map((x) => x / total),
  );
});

test('the nucleus holds the fewest likeliest words that reach top-p', () => {
  close(shares({ temperature: 1, topP: 0.6 }), [0.5 / 0.7, 0, 0.2 / 0.7, 0, 0]);
  assert.equal(shares({ temperature: 1, topP: 0.01 }), [1, 0, 0, 0, 0]);
  // More words than can be sorted by hand, one of which has nearly all.
  const many = new Float32Array(50_000).fill(-20);
  many[31_000] = 0;
  const next = createSampler({ temperature: 1, topP: 0.9, seed: 1 });
  assert.ok(Array.from({ length: 20 }, () => next(many)).every((id) => id === 31_000));
});

test('a seed gives the same words again, another one others', () => {
  const words = (seed: number): string => {
    const next = createSampler({ temperature: 1, topP: 0.95, seed });
    return Array.from({ length: 50 }, () => next(LOGITS)).join('');
  };
  assert.is(words(1), words(1));
  assert.is.not(words(1), words(2));
});

/** Tokens are bytes. */
const bytesText = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids));

test('a character that several tokens spell comes out whole, and all of the text comes out', () => {
  const text = 'naïve 日本 👍🏽 ok';
  const stream = createTextStream(bytesText, [...new TextEncoder().encode('é: ')]);
  const parts = [...new TextEncoder().encode(text)].map((id) => stream.push(id));
  assert.is(parts.join('') + stream.end(), text);
  assert.ok(parts.every((part) => !part.includes('\ufffd')));
  assert.is(parts.filter((part) => part !== '').length, [...text].length);
});

test('bytes that are no character do not hold the text up for ever, and what is open at the end is said', () => {
  const stream = createTextStream(bytesText, []);
  const parts = Array.from({ length: 20 }, () => stream.push(0xf0));
  assert.ok(parts.some((part) => part !== ''));
  assert.is(stream.push(0x41).at(-1), 'A');
  assert.is(stream.push(0xc3), '');
  assert.is(stream.end(), '\ufffd');
  assert.is(stream.end(), '');
});

test('a space that a decoder drops at the start of a text is kept after a prompt', () => {
  const words = ['▁Once', '▁upon', '▁a'];
  const decode = (ids: readonly number[]): string =>
    ids
      .map((id) => words[id]!.replace('▁', ' '))
      .join('')
      .trimStart();
  const stream = createTextStream(decode, [0]);
  assert.is(stream.push(1) + stream.push(2) + stream.end(), ' upon a');
});

test.run();
