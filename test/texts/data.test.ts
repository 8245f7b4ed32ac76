/** @file Data files: what is read, and that a bad row is named by file and line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packBatch, withTargets } from '../../node/engine/batch.ts';
import { packForScoring } from '../../node/engine/packing.ts';
import { UserError } from '../../node/errors.ts';
import { type DataOptions, labelData, openData, readRows, splitRows } from '../../node/texts/data.ts';
import { parseLabelMap } from '../../node/texts/labels.ts';
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
  'capitals.csv': 'Text , LABEL\n"a ""quoted"" one, with comma",1\nnone,\n',
  'points.csv': 'sentence;sentiment\n"a ""quoted"" one, with comma";1\nnone;\n',
  'told.csv': 'sep=;\nreview;stars\n"a ""quoted"" one, with comma";1\nnone;\n',
  'tabs.csv': 'content\ttarget\n"a ""quoted"" one, with comma"\t1\nnone\t\n',
  'bom.csv': '\ufefftext,label\n"a ""quoted"" one, with comma",1\nnone,\n',
  'mixed.csv': 'text,label\r\n"a ""quoted"" one, with comma",1\nnone,\r\n',
  'old.csv': 'text,label\r"a ""quoted"" one, with comma",1\rnone,\r',
  'old.tsv': 'label\ttext\r1\ta "quoted" one, with comma\r\tnone\r',
  'both.tsv': 'label\ttext\n1\ta "quoted" one, with comma\r\tnone\n',
  'other.jsonl': '{"Review":"a \\"quoted\\" one, with comma","Class":"1"}\r\n{"review":"none","class":null}',
  'array.json': '[{"text":"a \\"quoted\\" one, with comma","label":1},\n {"text":"none"}]',
  'lines.json': '{"text":"a \\"quoted\\" one, with comma","label":1}\n{"text":"none"}\n',
  'trailing.csv': 'text,label\n"a ""quoted"" one, with comma",1,\nnone,,\n',
  'trailing.tsv': 'label\ttext\t\n1\ta "quoted" one, with comma\t\n\tnone\t\n',
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

test('UTF-16 is read with and without its mark, in either order, gzipped and not', () => {
  const text = FILES['a.csv']!;
  for (const mark of ['', '\ufeff']) {
    const little = Buffer.from(mark + text, 'utf16le');
    for (const bytes of [little, Buffer.from(little).swap16(), gzipSync(little)]) {
      const rows = readRows(file('wide.csv', bytes));
      assert.equal(
        rows.map(({ text, label }) => ({ text, label })),
        wanted,
      );
    }
  }
});

test('the line of a row is its own, also in an array over several lines and behind a quoted line end', () => {
  const array = '[\n  {"text": "a, {b}\\n[c]",\n   "label": 1},\n\n  {"text": "d"}, {"text": "e"}\n]';
  assert.equal(
    readRows(file('where.json', array)).map((r) => r.line),
    [2, 5, 5],
  );
});

const BAD: readonly [name: string, content: string | Uint8Array, message: RegExp][] = [
  ['cols.tsv', 'label\ttext\n1\tfine\n1\ttoo\tmany\n', /cols\.tsv:3: 3 columns; wanted 2/],
  ['empty.tsv', 'label\ttext\n1\t  \n', /empty\.tsv:2: text is " {2}"; wanted some text/],
  ['header.csv', 'a,b\n1,2\n', /header\.csv:1: columns are a, b; wanted a header with text/],
  ['twice.tsv', 'text\ttext\na\tb\n', /twice\.tsv:1: two columns are named text \(text, text\)/],
  ['label-twice.csv', 'text,Label,LABEL\na,1,0\n', /two columns are named label/],
  [
    'several.csv',
    'id,review,sentence\n1,a,b\n',
    /review, sentence could each be the text; say which: --text-column "review"/,
  ],
  [
    'targets.csv',
    'text,target,class\na,1,0\n',
    /target, class could each be the label; say which: --label-column "target"/,
  ],
  ['lable.csv', 'text,lable\na,1\n', /column "lable"; if that is the label: --label-column "lable"/],
  [
    'lable.jsonl',
    '{"text":"a","label":1}\n{"text":"b","lable":0}\n',
    /lable\.jsonl:2: key "lable" where other rows have "label"/,
  ],
  ['both.jsonl', '{"text":"a","label":1,"Label":0}\n', /both\.jsonl:1: two keys are named label/],
  ['change.jsonl', '{"text":"a","label":1}\n{"text":"b","sentiment":0}\n', /change\.jsonl:2: key "sentiment"/],
  [
    'commas.tsv',
    'text,label\na,1\n',
    /commas\.tsv:1: the header is separated by ",", not by tabs; name the file \.csv/,
  ],
  ['return.tsv', 'text\na\rb\n', /return\.tsv:2: a lone carriage return within the line/],
  ['object.json', '{"data":[{"text":"a"}]}', /object\.json:1: columns are data/],
  ['broken.json', '[{"text":"a"},\n{"text":]', /broken\.json:2: not JSON/],
  ['number.json', '[1]', /number\.json:1: not an object/],
  ['quote.csv', 'text,label\nfine,1\n"open,1\n', /quote\.csv:\d+: not CSV/],
  ['bad.jsonl', '{"text":"fine"}\n{"text":\n', /bad\.jsonl:2: not JSON/],
  ['type.jsonl', '{"text":"fine","label":[1]}\n', /type\.jsonl:1: label is neither text nor number/],
  ['repeat.jsonl', '{"text":"a: b","label":1,"label":0}\n', /repeat\.jsonl:1: key "label" stands twice/],
  ['spelt.jsonl', '{"text":"a","label":1,"l\\u0061bel":0}\n', /spelt\.jsonl:1: key "label" stands twice/],
  ['repeat.json', '[{"text":"a","x":{"text":1}},\n{"text":"b","text":"c"}]', /repeat\.json:2: key "text" stands twice/],
  ['sheet.csv', 'PK\u0003\u0004', /sheet\.csv: holds a ZIP archive/],
  ['table.csv', 'PAR1....', /table\.csv: holds a Parquet table/],
  ['wide.tsv', Uint8Array.of(0xff, 0xfe, 0, 0, 0x74, 0, 0, 0), /wide\.tsv: holds UTF-32/],
  ['none.jsonl', '\n', /none\.jsonl: holds no rows/],
  [
    'latin.tsv',
    Uint8Array.of(0x74, 0x0a, 0xe9, 0x0a),
    /latin\.tsv: cannot be read as UTF-8 \(line 2 is not UTF-8\).*iconv/,
  ],
  ['nul.tsv', 'text\nfine\na\0b\n', /nul\.tsv: cannot be read as UTF-8 \(a NUL byte on line 3\)/],
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

test('what is named .gz and is not, and nested keys of the same names, are read', () => {
  assert.is(readRows(file('plain.tsv.gz', 'text\na\n')).length, 1);
  const nested = '{"text":"a","label":1,"x":{"text":2,"label":3}}\n{"text":"b: \\"label\\":","label":0}\n';
  assert.equal(
    readRows(file('nested.jsonl', nested)).map(({ label }) => label),
    ['1', '0'],
  );
});

test('cells in quotes of a .tsv, where quotes are only characters, are said', () => {
  const { notes } = openData(file('quotes.tsv', 'text\tlabel\n"a ""fine"" film"\t1\nb\t0\n"c"\t0\n'));
  assert.match(notes.join(), /2 of its rows hold quoted cells, whose quotes are kept/);
  assert.equal(openData(file('few.tsv', 'text\n"so"\nb\nc\n')).notes, []);
});

test('all bad rows are counted, three are shown, and those that can be skipped are', () => {
  const path = file('many.csv', 'text,label\na,1\n,1\nb\nc,0\nd,maybe\nf,1\n');
  const task = { classes: ['negative', 'positive'] };
  const read = (options: DataOptions) => labelData(openData(path, options), task, options);
  assert.throws(
    () => read({}),
    /many\.csv:3: text is "".*many\.csv:4: 1 columns.*many\.csv:6: label "maybe".*3 of 6 rows are bad.*--skip-bad-rows/,
  );
  const { labelled, bad } = read({ skipBadRows: true });
  assert.equal(
    labelled.map((e) => e.text),
    ['a', 'c', 'f'],
  );
  assert.is(bad.length, 3);
  assert.throws(() => readRows(path), /2 of 6 rows are bad/);
  assert.is(readRows(path, { skipBadRows: true }).length, 4);
  const none = file('none.csv', 'text,label\na,maybe\nb,perhaps\nc,\n');
  assert.throws(() => splitRows(readRows(none), none, task, { skipBadRows: true }), /none\.csv:2: label "maybe"/);
});

test('columns are taken by the names given, which must be there', () => {
  const path = file('named.csv', 'a,b,label\nsome text,1,x\n');
  assert.equal(readRows(path, { textColumn: 'A', labelColumn: 'b' }), [{ text: 'some text', label: '1', line: 2 }]);
  assert.is(readRows(path, { textColumn: 'a', labelColumn: 'none' })[0]!.label, null);
  assert.throws(() => readRows(path, { textColumn: 'c' }), /--text-column: got "c"; the columns are a, b, label/);
  const beside = openData(file('beside.csv', 'text,review,label,class\na,b,1,2\n'));
  assert.equal(beside.columns, { text: 'text', label: 'label', others: ['review', 'class'] });
});

/** The classes a file's labels are taken for; null: no label; or why they are refused. */
function meant(labels: readonly string[], classes: string, map = ''): unknown {
  const names = classes.split(' ');
  const rows = labels.map((label, i) => ({ text: `t${i}`, label, line: i + 2 }));
  const options = map === '' ? {} : { labelMap: parseLabelMap(map) };
  try {
    return labelData({ path: 'x.csv', rows, bad: [] }, { classes: names }, options).items.map(({ y }) =>
      y === null ? null : names[y],
    );
  } catch (error) {
    assert.instance(error, UserError);
    return (error as Error).message;
  }
}

test('labels are matched as other programs write them', () => {
  assert.equal(
    meant(['1', '0', '1.0', '+1', ' 0 ', '0.'], 'negative positive'),
    [1, 0, 1, 1, 0, 0].map((y) => ['negative', 'positive'][y]),
  );
  assert.equal(meant(['Positive', 'NEGATIVE', ' positive '], 'negative positive'), [
    'positive',
    'negative',
    'positive',
  ]);
  assert.equal(meant(['TRUE', 'False'], 'false true'), ['true', 'false']);
  assert.equal(meant(['positive\u200b', '\ufeffnegative'], 'negative positive'), ['positive', 'negative']);
  assert.equal(meant(['1', 'NaN', 'NA', 'null', 'None', '<NA>'], 'negative positive'), [
    'positive',
    null,
    null,
    null,
    null,
    null,
  ]);
  assert.equal(meant(['none', 'for'], 'none for'), ['none', 'for']);
  assert.equal(meant(['1.0', '2', '2.00'], '1 2'), ['1', '2', '2']);
  assert.equal(meant(['0', '1', '2'], 'negative neutral positive'), ['negative', 'neutral', 'positive']);
});

test('numbers are never places where classes are numbers or their order says nothing, and the flag that fits is shown', () => {
  const cases: readonly [labels: string[], classes: string, message: RegExp][] = [
    [
      ['1', '0'],
      '1 2',
      /x\.csv:3: label "0" is no class; labels of the file: "1" 1, "0" 1; wanted 1 or 2.*--label-map 0=1,1=2/,
    ],
    [['1', '2', '3', '0'], '1 2 3', /x\.csv:5: label "0"/],
    [['2', '1'], '2 4', /label "1" is no class/],
    [['10', '1'], '10 20', /label "1" is no class/],
    [['01', '2'], '1 2', /label "01" is no class/],
    [['1', '2'], '01 02', /label "1" is no class/],
    [['4', '5'], '4stars 5stars', /label "4" is no class/],
    [['1', '0', '0'], 'positive negative', /numbers \("0" 2, "1" 1\).*--label-map 0=negative,1=positive/],
    [['1', '2'], 'negative positive', /--label-map 1=negative,2=positive/],
    [['-1', '1'], 'negative positive', /--label-map -1=negative,1=positive/],
    [['-1', '1', '0'], 'negative positive', /--label-map 0=negative,1=positive,-1=/],
    [['0', '1'], 'negative neutral positive', /nothing says which/],
    [['0', '1', '2'], 'world sports business', /--label-map 0=world,1=sports,2=business/],
    [['0.5', '1'], 'negative positive', /nothing says which/],
    [['pos', 'neg'], 'negative positive', /--label-map pos=positive,neg=negative/],
    [['5', '4', '3', '2', '1'], 'negative positive', /1=negative,2=negative,3=,4=positive,5=positive$/],
    [['4', '1', '2', '3'], 'negative positive', /1=negative,2=negative,3=positive,4=positive$/],
    [['1', '2', '3', '4', '5'], '1 2', /--label-map 3=CLASS,4=CLASS,5=CLASS/],
    [['Y', 'N'], '1 2', /--label-map Y=CLASS,N=CLASS/],
    [["'1'", "'0'"], 'negative positive', /--label-map ''\\''1'\\''=CLASS/],
    [['👍', '👎'], 'negative positive', /label "👍" is no class.*--label-map '👍=CLASS,👎=CLASS'/],
    [['1e0', '0x0'], 'negative positive', /nothing says which/],
    [['0', '1'], 'true false', /--label-map 0=false,1=true/],
    [['1.0', '0'], '01 00', /label "1\.0" is no class/],
    [['TRUE', 'FALSE'], 'negative positive', /--label-map TRUE=positive,FALSE=negative/],
  ];
  for (const [labels, classes, message] of cases) assert.match(String(meant(labels, classes)), message);
});

test('a label map says what labels mean, and nothing else is then taken for a place', () => {
  assert.equal(meant(['1', '0.0', '-1'], 'positive negative', '1=positive,0=negative,-1='), [
    'positive',
    'negative',
    null,
  ]);
  assert.equal(meant(['Pos', 'neg'], 'negative positive', 'pos=positive,neg=negative'), ['positive', 'negative']);
  assert.match(String(meant(['1', '0'], 'negative positive', '1=positive')), /label "0" is no class/);
  assert.match(
    String(meant(['1'], 'negative positive', '1=good')),
    /--label-map: 1=good; the classes are negative, positive/,
  );
  for (const bad of ['1', '=positive', '1=positive,1=negative'])
    assert.throws(() => parseLabelMap(bad), /--label-map: got/);
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
  const packed = packForScoring(lengths.map(sequence), { padId: 0, classes: 2 });
  assert.equal(packed.flatMap((p) => [...p.order]).sort(), [0, 1, 2, 3, 4, 5]);
  assert.equal(packed[0]!.order.slice(0, 3), [1, 3, 4]);
});

test.run();
