/** @file A base named as on the Hub: downloaded when a command asks for it, then found without the network by whoever opens it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openBase } from '../../node/checkpoint/base.ts';
import { readModelName } from '../../node/checkpoint/names.ts';
import { basePath } from '../../node/checkpoint/places.ts';
import { provideBase } from '../../node/commands/provide.ts';
import { createDisplay } from '../../node/display.ts';
import { UserError } from '../../node/errors.ts';
import { startIn } from '../processes.ts';
import { fixture, temporaryFolder } from '../support.ts';
import { COMMIT, type FakeHub, fakeHub } from './server.ts';
import { TOKENIZER } from './words.ts';

const FILES = {
  'config.json': readFileSync(join(fixture('bert-qv'), 'config.json')),
  'model.safetensors': readFileSync(join(fixture('bert-qv'), 'model.safetensors')),
  'tokenizer.json': JSON.stringify(TOKENIZER),
  'tokenizer_config.json': '{}',
};

/** A Hub that has org/small, and an empty cache, as the environment of this process names them. */
async function onHub(act: (hub: FakeHub, cache: string) => Promise<void>): Promise<void> {
  const hub = await fakeHub(FILES);
  const cache = temporaryFolder();
  const before = { ...process.env };
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '' });
  try {
    await act(hub, cache);
  } finally {
    process.env = before;
    await hub.stop();
  }
}

const display = createDisplay(process.stderr, true);
const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'taken',
    (error) => {
      assert.instance(error, UserError, String(error));
      return error.message;
    },
  );

test('a base that the user names is downloaded; one that an invite names only where it is asked for', () =>
  onHub(async (hub, cache) => {
    const provide = (flags: { download?: boolean }, isNamed: boolean) =>
      provideBase('org/small', { isNamed, flags, display });
    assert.match(
      await refusal(openBase('org/small')),
      /not in the cache of the Hub; "lorikeet fetch org\/small" downloads/,
    );
    assert.match(await refusal(provide({}, false)), /base org\/small: not on this machine; --download brings it/);
    assert.is(hub.asked.length, 0);
    await provide({ download: true }, false);
    const asked = hub.asked.length;
    assert.ok(asked > 0);
    assert.is(basePath('org/small'), join(cache, 'models--org--small', 'snapshots', COMMIT));
    await provide({}, false);
    await provide({}, true);
    const named = await openBase('org/small');
    await named.expand();
    assert.is(named.sha256, (await openBase(named.path)).sha256);
    assert.is(hub.asked.length, asked, 'the network was asked again');
  }));

test('fetch says where the model lies, and check reads texts with it by its name, offline', () =>
  onHub(async (_, cache) => {
    const folder = temporaryFolder();
    const fetched = await startIn(folder, ['fetch', 'org/small']).done;
    assert.is(fetched.code, 0, fetched.err);
    assert.is(fetched.out.trim(), join(cache, 'models--org--small', 'snapshots', COMMIT));
    assert.match(fetched.err, /downloading org\/small, MB: \d+ of \d+/);
    const args = [
      'check',
      '--base',
      'org/small@main',
      '--labels',
      '0=bad,1=good',
      '--data',
      join(folder, 'a.tsv'),
      '--anyway',
      '--max-tokens',
      '64',
    ];
    writeFileSync(join(folder, 'a.tsv'), 'label\ttext\n1\tgood\n0\tbad\n');
    const checked = await startIn(folder, args, { HF_HUB_OFFLINE: '1' }).done;
    assert.is(checked.code, 0, checked.err);
    const wrong = await startIn(folder, ['fetch', 'small'], {}).done;
    assert.is(wrong.code, 2);
    assert.match(wrong.err, /model: got "small"; wanted org\/name/);
  }));

test('a name of the Hub is told from a path, its revision and file from its name', () => {
  assert.equal(readModelName('org/name'), { name: 'org/name', revision: 'main' });
  assert.equal(readModelName('org/name@v1.0:Q4/model-Q4_K_M.gguf'), {
    name: 'org/name',
    revision: 'v1.0',
    gguf: 'Q4/model-Q4_K_M.gguf',
  });
  for (const text of [
    'name',
    './org/name',
    '/org/name',
    'a/b/c',
    'org/name:',
    'org/name:model.bin',
    'C:\\models\\x',
    '',
  ])
    assert.is(readModelName(text), null, text);
});

test.run();
