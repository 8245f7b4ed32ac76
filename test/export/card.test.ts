/** @file The model card: what is known stands in it, what is not is left out, and no text or path of a user's is told. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeAdapter } from '../../node/adapter.ts';
import { type CardOptions, cardText } from '../../node/export/card.ts';
import { readResult, resultOf, writeResult } from '../../node/export/result.ts';
import { openFolderFor } from '../../node/export/subject.ts';
import { openRun } from '../../node/train/run.ts';
import { accuracyOf, tokenLossOf } from '../../node/train/score.ts';
import { settingsWith, temporaryFolder } from '../support.ts';

const PLAIN: CardOptions = {
  format: 'peft',
  base: '/home/somebody/models/tiny',
  revision: null,
  baseHash: 'abc',
  license: null,
  isCausal: true,
  rank: 4,
  alpha: 8,
  layers: 12,
  settings: null,
  facts: {},
};

test('a card tells what is known and nothing else', () => {
  const bare = cardText(PLAIN);
  assert.match(bare, /^---\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n- lora/);
  assert.match(bare, /\| base \| tiny \|/);
  assert.match(bare, /AutoPeftModelForCausalLM\.from_pretrained/);
  assert.match(bare, /where it was trained is not known/);
  assert.not.match(bare, /somebody|licen[cs]e|rounds|accuracy|undefined|null/);
  const full = cardText({
    ...PLAIN,
    base: 'org/tiny',
    revision: 'v2',
    license: 'apache-2.0',
    isCausal: false,
    facts: {
      rounds: 7,
      peers: 3,
      labelled: 16,
      unlabelled: 90,
      scores: { measure: 'accuracy', texts: 40, base: 0.5, alone: null, swarm: 0.875 },
    },
  });
  for (const line of [
    'base_model: org/tiny',
    'license: apache-2.0',
    '| base | org/tiny, revision v2 |',
    '| labelled texts of this peer | 16 |',
    '| base | 50.0 % |',
    '| with the swarm | 87.5 % |',
  ])
    assert.ok(full.includes(`${line}\n`), line);
  assert.not.match(full, /alone/);
});

test('each format says how it is loaded', () => {
  const told = { peft: /AutoPeftModel/, merged: /AutoModelForCausalLM/, gguf: /--lora adapter\.gguf/ } as const;
  for (const [format, pattern] of Object.entries(told))
    assert.match(cardText({ ...PLAIN, format: format as keyof typeof told }), pattern);
  assert.match(cardText({ ...PLAIN, format: 'merged-gguf' }), /FROM \.\/model\.gguf/);
});

test('an adapter is written with its card, which says what the run was for', async () => {
  const run = await openRun(settingsWith({}));
  const folder = temporaryFolder();
  await writeAdapter(folder, { run, vector: run.initial, facts: { rounds: 2 } });
  const card = readFileSync(join(folder, 'README.md'), 'utf8');
  assert.match(card, /license: apache-2\.0/);
  assert.match(card, /\| rounds \| 2 \|/);
  assert.ok(card.includes(`prompt: ${JSON.stringify(run.settings.prompt)}`));
  const config = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8'));
  assert.equal(config.auto_mapping, {
    base_model_class: 'BertForMaskedLM',
    parent_library: 'transformers.models.bert.modeling_bert',
  });
});

test('the end of a run is kept for the card of that run only, and a broken file is passed over', async () => {
  const folder = temporaryFolder();
  const half = accuracyOf([
    [1, 0],
    [1, 0],
  ]);
  const known = resultOf({ labelled: 2, unlabelled: 3 }, { base: half, alone: null, swarm: half }, 9);
  await writeResult(folder, 'run', known);
  assert.equal(readResult(folder, 'run'), known);
  assert.equal(known.scores, { measure: 'accuracy', texts: 9, base: 0.5, alone: null, swarm: 0.5 });
  const written = resultOf({ labelled: 2, unlabelled: 0 }, { base: null, alone: null, swarm: tokenLossOf([[-1]]) }, 1);
  assert.equal(written.scores, { measure: 'perplexity', texts: 1, base: null, alone: null, swarm: Math.E });
  assert.is(readResult(folder, 'other'), null);
  writeFileSync(join(folder, 'result.json'), '{"runId":"run","labelled":"two"}');
  assert.is(readResult(folder, 'run'), null);
  writeFileSync(join(folder, 'result.json'), '{');
  assert.is(readResult(folder, 'run'), null);
});

test('what would be taken for a part of an export is not written beside', () => {
  const folder = temporaryFolder();
  openFolderFor(join(folder, 'new'), 'merged');
  mkdirSync(join(folder, 'model'));
  writeFileSync(join(folder, 'model', 'tokenizer.json'), '{}');
  assert.throws(() => openFolderFor(join(folder, 'model'), 'peft'), /holds tokenizer\.json already/);
  writeFileSync(join(folder, 'new', 'adapter_config.json'), '{}');
  assert.throws(() => openFolderFor(join(folder, 'new'), 'merged'), /holds adapter_config\.json already/);
});

test.run();
