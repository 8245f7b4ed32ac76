/** @file State folders: the key's mode, one process at a time, snapshots that are torn, files written whole or not at all. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeFileAtomic } from '../../node/atomic.ts';
import { UserError } from '../../node/errors.ts';
import { compareRows, digestRows, openStore } from '../../node/store.ts';
import { sha256 } from '../../node/train/run.ts';
import { createPeer, snapshotOf } from '../../protocol/peer.ts';
import { decodeSnapshot } from '../../protocol/snapshot.ts';
import { settingsWith, temporaryFolder } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';
const OTHER = 'f'.repeat(32);
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

test('run and snapshot come back; a snapshot of another run is refused', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  assert.is(store.readRun(), null);
  assert.is(store.readSnapshot(RUN, 'int8'), null);
  const saved = {
    ...{ settings, port: 4001, bootstrap: ['x'], mixedWith: { y: 3 } },
    ...{ follows: null, invited: ['y'], earlierRounds: 0 },
  };
  await store.writeRun(saved);
  await store.writeSnapshot(snapshot);
  assert.equal(store.readRun(), saved);
  assert.equal(store.readSnapshot(RUN, 'int8'), snapshot);
  assert.is(
    mistakeOf(() => store.readSnapshot(OTHER, 'int8')),
    'incompatible',
  );
  assert.is(store.readSnapshot(OTHER, 'int8', RUN), null, 'that of the run it follows does not count');
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
  store.release();
});

const [NEWEST, SECOND, THIRD] = ['snapshot.bin', 'snapshot-1.bin', 'snapshot-2.bin'] as const;
/** What can happen to a snapshot, and what is said of it. */
const SPOILT: readonly (readonly [wanted: RegExp, spoil: (path: string) => void])[] = [
  [/torn or altered/, (path) => writeFileSync(path, readFileSync(path).subarray(0, 40))],
  [/torn or altered/, (path) => writeFileSync(path, '')],
  [/missing/, (path) => rmSync(path)],
  [
    /another version \(form 2; this one reads 5\)/,
    (path) => writeFileSync(path, Buffer.concat([Buffer.from('2'), readFileSync(path).subarray(1)])),
  ],
  [
    /cannot be read/,
    (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  ],
];

test('three snapshots are kept; one that is cut, of another version or missing gives way to the one before, with a line', async () => {
  for (const [wanted, spoil] of SPOILT) {
    const folder = temporaryFolder();
    const said: string[] = [];
    const store = openStore(folder, (line) => said.push(line));
    const read = () => store.readSnapshot(RUN, 'int8');
    for (let round = 1; round <= 5; round++) await store.writeSnapshot({ ...snapshot, round, boot: 1 });
    assert.equal(readdirSync(folder).sort(), ['lock', SECOND, THIRD, NEWEST]);
    assert.is(read()?.round, 5);
    spoil(join(folder, NEWEST));
    assert.equal([read()?.round, read()?.boot], [4, 2], 'its life may have begun with what was lost');
    assert.match(said[0]!, wanted);
    assert.match(said[0]!, /^[^\n]*snapshot\.bin: [^\n]*; going on from snapshot-1\.bin instead, of round 4$/);
    spoil(join(folder, SECOND));
    assert.equal([read()?.round, read()?.boot], [3, 3]);
    spoil(join(folder, THIRD));
    if (wanted.source === 'missing') assert.is(read(), null);
    else assert.throws(read, wanted);
    store.release();
  }
});

test('a snapshot that is not whole does not take the place of one that is', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  for (let round = 1; round <= 3; round++) await store.writeSnapshot({ ...snapshot, round });
  writeFileSync(join(folder, NEWEST), 'x');
  assert.is(store.readSnapshot(RUN, 'int8')?.round, 2);
  await store.writeSnapshot({ ...snapshot, round: 9 });
  const rounds = [NEWEST, SECOND, THIRD].map((file) => roundIn(join(folder, file)));
  assert.equal(rounds, [9, 2, 1]);
  store.release();
});

test('a run does not begin again where its newest snapshot is spoilt and those before are of the run it follows', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  await store.writeSnapshot(snapshot);
  await store.writeSnapshot({ ...snapshot, runId: OTHER });
  writeFileSync(join(folder, NEWEST), 'x');
  assert.throws(() => store.readSnapshot(OTHER, 'int8', RUN), /torn or altered, and no earlier one of this run/);
  rmSync(join(folder, NEWEST));
  assert.is(store.readSnapshot(OTHER, 'int8', RUN), null);
  store.release();
});

test('a run of a later version is refused, and one without a version read', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  const about = { mixedWith: {}, follows: null, invited: [], earlierRounds: 0 };
  const saved = { settings, port: 4001, bootstrap: [], ...about };
  for (const [version, mistake] of [
    [undefined, null],
    [1, null],
    [2, 'incompatible'],
  ] as const) {
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ version, ...saved }));
    if (mistake) assert.is(mistakeOf(store.readRun), mistake);
    else assert.equal(store.readRun(), saved);
  }
  store.release();
});

test('a key that others may read is closed to them, with a line', async () => {
  if (process.platform === 'win32') return;
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'key'), Uint8Array.of(7), { mode: 0o644 });
  const said: string[] = [];
  const store = openStore(folder, (line) => said.push(line));
  for (let time = 0; time < 2; time++)
    assert.equal(Uint8Array.from(await store.key(async () => Uint8Array.of(9))), Uint8Array.of(7));
  assert.is(statSync(join(folder, 'key')).mode & 0o777, 0o600);
  assert.is(said.length, 1);
  assert.match(said[0]!, /key: others could read it \(mode 644\); now only you can/);
  store.release();
});

test('who was taken for dead writes no more where another has the folder', async () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  writeFileSync(join(folder, 'lock'), '1 another-machine');
  const failure = await store.writeSnapshot(snapshot).catch((error) => error);
  assert.match(String(failure), /UserError: .*another process has taken over this state/);
  store.release();
  assert.ok(existsSync(join(folder, 'lock')));
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

function roundIn(path: string): number | undefined {
  return decodeSnapshot(readFileSync(path), 'int8', sha256)?.round;
}

async function assertRejects(promise: Promise<unknown>): Promise<void> {
  assert.ok(
    await promise.then(
      () => false,
      () => true,
    ),
  );
}

test.run();
