/** @file An adapter folder of ours: what lorikeet.json and adapter_config.json may say, each alone and beside the other. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAdapter, writeAdapter } from '../../node/adapter.ts';
import { hasPrior } from '../../node/commands/scores.ts';
import { EXIT, UserError } from '../../node/errors.ts';
import { openRun } from '../../node/train/run.ts';
import { settingsWith, temporaryFolder } from '../support.ts';

const whole = temporaryFolder();
const run = await openRun(settingsWith({ labelPrior: '1.5,2.5' }));
const vector = Float32Array.from(run.initial, (_, i) => Math.sin(i));
await writeAdapter(whole, { run, vector });

type Fields = Record<string, unknown>;
/** The folder with its files changed; null: without lorikeet.json. */
function changed(
  own: ((file: { runId: unknown; settings: Fields } & Fields) => void) | null,
  peft: Fields = {},
): string {
  const folder = temporaryFolder();
  cpSync(whole, folder, { recursive: true });
  const edit = (name: string, change: (file: never) => void): void => {
    const file = JSON.parse(readFileSync(join(whole, name), 'utf8'));
    change(file as never);
    writeFileSync(join(folder, name), JSON.stringify(file));
  };
  edit('adapter_config.json', (file: Fields) => Object.assign(file, peft));
  if (own) edit('lorikeet.json', own);
  else rmSync(join(folder, 'lorikeet.json'));
  return folder;
}
const setting = (name: string, value: unknown) => (file: { settings: Fields }) => {
  file.settings[name] = value;
};
const read = (folder: string, given: Fields = {}) =>
  readAdapter(folder, given).then(
    (found) => found,
    (error: Error) => error,
  );

test('an adapter comes back as it was written, its label prior with it', async () => {
  const found = await readAdapter(whole, {});
  assert.equal(found.vector, vector);
  assert.equal(found.run.settings, run.settings);
  assert.equal(found.notes, []);
  assert.ok(hasPrior(found.run.settings));
});

const WRONG: readonly [what: string, folder: string, pattern: RegExp, code: number][] = [
  [
    'a setting that is not known',
    changed(setting('learningrate', 1)),
    /settings\.learningrate: no such setting; did you mean learningRate/,
    2,
  ],
  ['a name that objects have', changed(setting('toString', 'x')), /settings\.toString: no such setting/, 2],
  ['a number as text', changed(setting('rank', '8')), /settings\.rank: got "8"; wanted an integer/, 2],
  ['a text as number', changed(setting('prompt', 5)), /settings\.prompt: got 5; wanted a text with/, 2],
  [
    'a setting that is null',
    changed(setting('labelPrior', null)),
    /settings\.labelPrior: got null; wanted off, or numbers/,
    2,
  ],
  [
    'a setting out of bounds',
    changed(setting('maxTokens', 1e9)),
    /settings\.maxTokens: got 1000000000; wanted an integer/,
    2,
  ],
  ['a choice there is not', changed(setting('codec', 'f8')), /settings\.codec: got "f8"; wanted f32/, 2],
  [
    'a field that is not known',
    changed((file) => Object.assign(file, { version: 3 })),
    /field version is not known here; wanted runId and settings/,
    2,
  ],
  [
    'settings that are a list',
    changed((file) => Object.assign(file, { settings: [] })),
    /settings is \[\]; wanted the settings of a run/,
    2,
  ],
  [
    'no settings',
    changed((file) => Object.assign(file, { settings: undefined })),
    /settings is undefined; wanted the settings/,
    2,
  ],
  [
    'a run id that is none',
    changed((file) => Object.assign(file, { runId: 'mine' })),
    /runId is "mine"; wanted 32 hex digits/,
    2,
  ],
  ['another rank', changed(setting('rank', 4)), /settings\.rank is 4, r in .*adapter_config\.json is 8/, 3],
  ['another alpha', changed(setting('alpha', 32)), /settings\.alpha is 32, lora_alpha in .* is 16/, 3],
  [
    'other targets',
    changed(setting('targets', 'query')),
    /settings\.targets is "query", target_modules in .* is "query,value"/,
    3,
  ],
  [
    'targets that are none',
    changed(setting('targets', 'qry')),
    /lorikeet\.json: settings\.targets: "qry" matches no linear/,
    3,
  ],
  [
    'another base',
    changed(setting('base', 'bert')),
    /settings\.base is "bert", base_model_name_or_path in .* is ".*lorikeet-mini"/,
    3,
  ],
  ['another hash of the base', changed(setting('baseHash', '0'.repeat(64))), /the run wants 000000000000/, 3],
  [
    'a scale said otherwise',
    changed(() => {}, { use_rslora: true }),
    /settings\.alpha is 16, lora_alpha in .* is 45\.\d+ as it is scaled/,
    3,
  ],
];
for (const [what, folder, pattern, code] of WRONG)
  test(`${what} beside an adapter is refused by name, in one line`, async () => {
    const error = (await read(folder)) as UserError;
    assert.instance(error, UserError, String(error));
    assert.match(error.message, pattern);
    assert.match(error.message, /lorikeet\.json|baseHash|its sha256/);
    assert.is(EXIT[error.mistake], code);
    assert.not.match(error.message, /\n/);
  });

test('lorikeet.json that is no object, cut, or says a thing twice is refused', async () => {
  const text = readFileSync(join(whole, 'lorikeet.json'), 'utf8');
  for (const [content, pattern] of [
    ['null', /holds no JSON object/],
    [text.slice(0, 90), /lorikeet\.json: cannot be read/],
    [text.replace('{', '{"runId":"",'), /runId stands twice/],
  ] as const) {
    const folder = changed(() => {});
    writeFileSync(join(folder, 'lorikeet.json'), content);
    assert.match(((await read(folder)) as Error).message, pattern);
  }
});

test('settings that were changed since are used and said; targets may be written another way', async () => {
  const edited = await readAdapter(changed(setting('labelPrior', 'off')), {});
  assert.not(hasPrior(edited.run.settings));
  assert.match(edited.notes.join('\n'), /its settings are not those of run/);
  const order = changed(() => {}, { target_modules: ['value', 'attention.self.query'] });
  assert.equal((await readAdapter(order, {})).notes, []);
});

test('an adapter without weights, or with those of another kind, is named', async () => {
  const folder = changed(() => {});
  rmSync(join(folder, 'adapter_model.safetensors'));
  assert.match(String(await read(folder)), /holds no weights; wanted adapter_model\.safetensors/);
  writeFileSync(join(folder, 'adapter_model.bin'), '');
  assert.match(String(await read(folder)), /its weights are in adapter_model\.bin; wanted adapter_model\.safetensors/);
});

test('a prior stays with its prompt and words only', async () => {
  const { prompt, labels } = run.settings;
  assert.ok(hasPrior((await readAdapter(whole, { prompt, labels })).run.settings));
  assert.not(hasPrior((await readAdapter(whole, { prompt: '{text} is {mask} .' })).run.settings));
});

test('an adapter without a run is used on the base it names, and on no other without a word', async () => {
  const named = (await read(changed(null, { base_model_name_or_path: 'prajjwal1/bert-mini' }))) as Error;
  assert.match(
    named.message,
    /base prajjwal1\/bert-mini: no folder or file here, .*"lorikeet fetch prajjwal1\/bert-mini" downloads it/,
  );
  const told = await readAdapter(changed(null, { base_model_name_or_path: 'x/y' }), { base: 'lorikeet-mini' });
  assert.match(told.notes.join('\n'), /was trained on x\/y; used on lorikeet-mini, as --base says/);
  const silent = await readAdapter(changed(null, { base_model_name_or_path: null, task_type: 'SEQ_CLS' }), {});
  assert.match(silent.notes[0]!, /does not name its base; taken for one of lorikeet-mini/);
  assert.match(silent.notes[1]!, /task_type is SEQ_CLS: was trained for another head/);
  assert.not(hasPrior(silent.run.settings));
  assert.equal(silent.vector, vector);
});

test.run();
