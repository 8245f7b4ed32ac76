/**
 * @file Files with bytes and values changed: each is read, or refused by a typed error of one line, in little memory. A few of
 * each here; `npm run mutate` feeds every reader 100,000.
 */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { feed } from '../../scripts/mutate/feed.ts';
import { READERS, type Reader } from '../../scripts/mutate/readers.ts';
import { temporaryFolder } from '../support.ts';

const SEED = 11;
const COUNT = 400;
const MOST_BYTES = 64 << 20;
const FOLDER = join(temporaryFolder(), 'files');

for (const [name, reader] of Object.entries(READERS))
  test(`${name}: ${COUNT} mutants of seed ${SEED} are read, or refused in one line, within 64 MiB`, () => {
    const fed = feed(reader, { seed: SEED, count: COUNT, folder: FOLDER });
    assert.is(fed.accepted + fed.refused, COUNT);
    assert.ok(fed.accepted > 0 && fed.refused > COUNT / 2, JSON.stringify(fed));
    assert.ok(fed.kinds > 30, `only ${fed.kinds} kinds of refusals`);
    assert.ok(fed.extraBytes < MOST_BYTES, `${fed.extraBytes} bytes more`);
  });

test('the unchanged files are read whole', () => {
  for (const [name, reader] of Object.entries(READERS)) {
    const refusals: string[] = [];
    const noChange: Reader = {
      ...reader,
      read: (folder) =>
        reader.read(folder, (use) => {
          try {
            return use();
          } catch (error) {
            refusals.push(String(error));
            return undefined;
          }
        }),
    };
    feed(noChange, { seed: SEED, count: 0, folder: FOLDER });
    // The GGUF file with a tensor of every type has no tokenizer.
    const wanted = name === 'gguf' ? 1 : 0;
    assert.is(refusals.length, wanted, `${name}: ${refusals.join('; ')}`);
  }
});

test('a reader that throws anything else, prints pages, or takes no care is seen, with what shows it again', () => {
  const breaking = (fault: () => unknown): Reader => ({ ...READERS.config!, read: (_, attempt) => attempt(fault) });
  const fed = (fault: () => unknown) => () => feed(breaking(fault), { seed: 3, count: 2, folder: FOLDER });
  const thrown = (error: Error) => (): void => {
    throw error;
  };
  assert.throws(fed(thrown(new TypeError('x is undefined'))), /mutant 0 of seed 3: TypeError: x is undefined/);
  assert.throws(fed(thrown(new UserError('usage', 'no file named'))), /no short line about a file: no file named/);
  const kept: Uint8Array[] = [];
  let calls = 0;
  const isWarm = (): boolean => ++calls > READERS.config!.samples().length;
  const greedy = breaking(() => isWarm() && kept.push(new Uint8Array(100_000_000).fill(1)));
  const { extraBytes } = feed(greedy, { seed: 3, count: 4, folder: FOLDER });
  assert.ok(extraBytes > MOST_BYTES, `${extraBytes} bytes more`);
});

test.run();
