/** @file Data files: what is read, and that a bad row is named by file and line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { packBatch, packForScoring, withTargets } from '../../node/train/batch.ts';
import { readRows, splitRows } from '../../node/train/data.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const wanted = [
  { text: 'a "quoted" one, with comma', label: '1' },
  { text: 'none', label: null },
];
const FILES: Record<string, string> = {
  'a.tsv': 'label\ttext\n1\ta "quoted" one, with comma\n\tnone\n',
  'a.csv': 'text,label\n"a ""quoted"" one, with comma",1\nnone,\n',
  'a.jsonl': '{"text":"a \\"quoted\\" one, with comma","label":1}\n\n{"text":"none"}\n',
  'windows.tsv': 'label\ttext\r\n1\ta "quoted" one, with comma\r\n\tnone\r\n',
};

for (const [name, content] of Object.entries(FILES)) {
  test(`${name} and its gzip give the same rows`, () => {
    for (const path of [file(name, content), file(`${name}.gz`, gzipSync(content))]) {
      assert.equal(
        readRows(path).map(({ text, label }) => ({ text, label })),
        wanted,
      );
    }
  });
}

const BAD: readonly [name: string, content: string | Uint8Array, message: RegExp][] = [
  ['cols.tsv', 'label\ttext\n1\tfine\n1\ttoo\tmany\n', /cols\.tsv:3: 3 columns; wanted 2/],
  ['empty.tsv', 'label\ttext\n1\t  \n', /empty\.tsv:2: text is " {2}"; wanted some text/],
  ['header.csv', 'a,b\n1,2\n', /header\.csv:1: columns are a, b; wanted a header with text/],
  ['twice.tsv', 'text\ttext\na\tb\n', /twice\.tsv:1: two columns are named text/],
  ['quote.csv', 'text,label\nfine,1\n"open,1\n', /quote\.csv:\d+: not CSV/],
  ['bad.jsonl', '{"text":"fine"}\n{"text":\n', /bad\.jsonl:2: not JSON/],
  ['type.jsonl', '{"text":"fine","label":[1]}\n', /type\.jsonl:1: label is neither text nor number/],
  ['none.jsonl', '\n', /none\.jsonl: holds no rows/],
  ['latin.tsv', Uint8Array.of(0x74, 0xff, 0xfe), /latin\.tsv: cannot be read/],
  ['x.txt', 'text\n', /x\.txt: unknown kind of file/],
];
for (const [name, content, message] of BAD) {
  test(`${name} is refused with its place`, () => {
    const path = file(name, content);
    assert.throws(
      () => readRows(path),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  });
}

test('a label that names no class is refused with its line', () => {
  const path = file('labels.tsv', 'label\ttext\n0\tfine\npositve\tfine\n');
  const task = {
    classes: ['negative', 'positive'],
    classOf: (label: string) => (['0', '1'].indexOf(label) >= 0 ? Number(label) : null),
  };
  assert.throws(
    () => splitRows(readRows(path), path, task),
    /labels\.tsv:3: label "positve"; wanted negative, positive or 0 to 1/,
  );
});

test('batches are padded to their bucket only, and scoring puts like lengths together', () => {
  const sequence = (length: number) => ({ ids: Array.from({ length }, (_, i) => i + 1), positions: [length - 1] });
  const batch = withTargets(packBatch([sequence(3), sequence(9)], 0), [
    { distribution: [1, 0], weight: 0.5, temperature: 1 },
    { distribution: [0.2, 0.8], weight: 0.5, temperature: 2 },
  ]);
  assert.is(batch.tokens, 10);
  assert.equal(Array.from(batch.attentionMask.subarray(0, 4)), [1, 1, 1, 0]);
  assert.is(batch.select[2], 1);
  assert.is(batch.select[10 + 8], 1);
  assert.equal(Array.from(batch.inverseTemperature), [1, 0.5]);
  const lengths = [90, 5, 80, 6, 7, 90];
  const packed = packForScoring(lengths.map(sequence), 0);
  assert.equal(packed.flatMap((p) => [...p.order]).sort(), [0, 1, 2, 3, 4, 5]);
  assert.equal(packed[0]!.order.slice(0, 3), [1, 3, 4]);
});

test.run();
