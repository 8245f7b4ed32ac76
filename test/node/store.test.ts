/** @file State folders: the key's mode, one process at a time, snapshots that are torn, files written whole or not at all. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeFileAtomic } from '../../node/atomic.ts';
import { UserError } from '../../node/errors.ts';
import { compareRows, digestRows, openStore } from '../../node/store.ts';
import { createPeer, snapshotOf } from '../../protocol/peer.ts';
import { settingsWith, temporaryFolder } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';
const settings = settingsWith({});
const snapshot = snapshotOf(createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(1, 2, 3) }));

function mistakeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof UserError ? error.mistake : String(error);
  }
  return 'none';
}

test('a key is made once, and only its owner can read it', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  const key = await store.key(async () => Uint8Array.of(1, 2, 3));
  assert.is(statSync(join(folder, 'key')).mode & 0o777, 0o600);
  assert.equal(Uint8Array.from(await store.key(async () => Uint8Array.of(9))), key);
  store.release();
});

test('a start that fails leaves no folder behind; a run that has begun, and what is not ours, stays', async () => {
  const [above, key] = [temporaryFolder(), async () => Uint8Array.of(1, 2, 3)];
  const folder = join(above, 'new', 'state');
  const start = async (then: (store: ReturnType<typeof openStore>) => unknown): Promise<void> => {
    const store = openStore(folder);
    await store.key(key);
    await then(store);
    store.release();
  };
  await start(() => {});
  assert.equal(readdirSync(above), []);
  await start(() => writeFileSync(join(folder, 'notes'), ''));
  assert.equal(readdirSync(folder), ['notes']);
  await start((store) => store.writeSnapshot(snapshot));
  await start(() => {});
  assert.equal(readdirSync(folder).sort(), ['key', 'notes', 'snapshot.bin']);
});

test('what has changed in a file is known by its rows, in whatever order they stand', () => {
  const row = (text: string, label: string | null = null) => ({ text, label });
  const before = digestRows([row('a', '1'), row('b'), row('b'), row('c')]);
  const changed = (rows: Parameters<typeof digestRows>[0]) => compareRows(before, digestRows(rows));
  assert.equal(changed([row('c'), row('b'), row('a', '1'), row('b')]), { added: 0, removed: 0 });
  assert.equal(changed([row('a', '0'), row('b'), row('b'), row('c')]), { added: 1, removed: 1 }, 'another label');
  assert.equal(changed([row('a', '1'), row('b'), row('c')]), { added: 0, removed: 1 }, 'one of two alike');
  assert.equal(changed([row('x'), row('y')]), { added: 2, removed: 4 });
});

test('run and snapshot come back; a snapshot that is torn or of another run is refused', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  assert.is(store.readRun(), null);
  assert.is(store.readSnapshot(RUN, 'int8'), null);
  const saved = { settings, port: 4001, bootstrap: ['x'], mixedWith: { y: 3 }, follows: null, earlierRounds: 0 };
  await store.writeRun(saved);
  await store.writeSnapshot(snapshot);
  assert.equal(store.readRun(), saved);
  assert.equal(store.readSnapshot(RUN, 'int8'), snapshot);
  assert.is(
    mistakeOf(() => store.readSnapshot('f'.repeat(32), 'int8')),
    'incompatible',
  );
  const path = join(folder, 'snapshot.bin');
  writeFileSync(path, readFileSync(path).subarray(0, 40));
  assert.is(
    mistakeOf(() => store.readSnapshot(RUN, 'int8')),
    'storage',
  );
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
  store.release();
});

test('a second process is kept out; a lock left by a dead one is taken over', () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  assert.is(
    mistakeOf(() => openStore(folder)),
    'storage',
  );
  store.release();
  for (const dead of ['999999999', String(process.pid)]) {
    writeFileSync(join(folder, 'lock'), dead);
    const again = openStore(folder);
    again.release();
    again.release();
  }
});

test('a folder that cannot be written is a storage mistake', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  assert.is(
    mistakeOf(() => openStore(join(file, 'state'))),
    'storage',
  );
});

test('a write that fails leaves the old file and nothing else', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'a');
  await writeFileAtomic(path, Uint8Array.of(1));
  await assertRejects(writeFileAtomic(join(folder, 'missing', 'a'), Uint8Array.of(2)));
  await assertRejects(writeFileAtomic(path, { length: 1 } as unknown as Uint8Array));
  assert.equal(Uint8Array.from(readFileSync(path)), Uint8Array.of(1));
  assert.equal(readdirSync(folder), ['a']);
});

async function assertRejects(promise: Promise<unknown>): Promise<void> {
  assert.ok(
    await promise.then(
      () => false,
      () => true,
    ),
  );
}

test.run();
