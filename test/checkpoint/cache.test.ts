/** @file The cache of the Hub as Python lays it out: found where it lies, listed as it is, added to as Python reads it. */
import { mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cachedCommit, filesIn, listCached, place, UNFINISHED } from '../../node/checkpoint/cache.ts';
import { cacheFolder, hubEnvironment } from '../../node/checkpoint/environment.ts';
import { startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const COMMIT = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** What huggingface_hub leaves after a download. */
function pythonCache(): string {
  const cache = temporaryFolder();
  const repository = join(cache, 'models--org--small.model');
  write(join(repository, 'refs', 'main'), COMMIT);
  write(join(repository, 'refs', 'refs', 'pr', '1'), `${OTHER}\n`);
  for (const [commit, path, blob] of [
    [COMMIT, 'config.json', '1'.repeat(40)],
    [COMMIT, 'model.safetensors', '2'.repeat(64)],
    [OTHER, 'onnx/model.onnx', '3'.repeat(64)],
  ] as const) {
    const bytes = write(join(repository, 'blobs', blob), blob.slice(0, 5));
    utimesSync(bytes, new Date('2026-03-04'), new Date('2026-03-01'));
    const link = join(repository, 'snapshots', commit, path);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(path.includes('/') ? '../../..' : '../..', 'blobs', blob), link);
  }
  mkdirSync(join(cache, 'datasets--org--other', 'snapshots', COMMIT), { recursive: true });
  return cache;
}

test('the cache lies where the environment says, as for Python', () => {
  assert.is(cacheFolder({ HF_HUB_CACHE: '/c', HF_HOME: '/h' }), '/c');
  assert.is(cacheFolder({ HF_HOME: '/h', XDG_CACHE_HOME: '/x' }), '/h/hub');
  assert.is(cacheFolder({ XDG_CACHE_HOME: '/x' }), '/x/huggingface/hub');
  assert.is(cacheFolder({ HF_HOME: '~/h' }), join(homedir(), 'h', 'hub'));
  assert.is(cacheFolder({}), join(homedir(), '.cache', 'huggingface', 'hub'));
});

test('a token comes from the environment, else from its file, and none is repeated in an error', () => {
  const folder = temporaryFolder();
  const token = (more: Record<string, string> = {}) => hubEnvironment({ HF_HOME: folder, ...more }).token;
  assert.is(token(), null);
  write(join(folder, 'token'), 'hf_file\n');
  assert.is(token(), 'hf_file');
  assert.is(token({ HF_TOKEN: ' hf_given ' }), 'hf_given');
  assert.is(token({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), null);
  assert.is(token({ HF_TOKEN_PATH: write(join(folder, 'elsewhere'), 'hf_other') }), 'hf_other');
  assert.throws(
    () => token({ HF_TOKEN: 'hf_se\ncret' }),
    (e: Error) => /HF_TOKEN: holds/.test(e.message) && !/cret/.test(e.message),
  );
});

test('an endpoint is an address, without its last slash', () => {
  const endpoint = (HF_ENDPOINT: string) => hubEnvironment({ HF_ENDPOINT, HF_TOKEN: 'x' }).endpoint;
  assert.is(endpoint(''), 'https://huggingface.co');
  assert.is(endpoint('http://127.0.0.1:8080/hub/'), 'http://127.0.0.1:8080/hub');
  for (const wrong of ['huggingface.co', 'ftp://huggingface.co', 'https://user:secret@huggingface.co'])
    assert.throws(() => endpoint(wrong), /HF_ENDPOINT: got .*; wanted an address/, wrong);
});

test('what Python has downloaded is listed by revision, with size, formats and last use', () => {
  const cache = pythonCache();
  const [first, second, ...rest] = listCached(cache);
  assert.equal(rest, []);
  assert.is(first!.name, 'org/small.model');
  assert.equal([first!.commit, first!.refs, first!.formats, first!.missing], [COMMIT, ['main'], ['safetensors'], []]);
  assert.is(first!.bytes, 10);
  assert.match(first!.lastUsed!, /^2026-03-04/);
  assert.equal(filesIn(second!.folder), ['onnx/model.onnx']);
  assert.equal([second!.commit, second!.refs, second!.formats], [OTHER, ['refs/pr/1'], ['onnx']]);
  assert.is(cachedCommit(join(cache, 'models--org--small.model'), 'main'), COMMIT);
  assert.is(cachedCommit(join(cache, 'models--org--small.model'), 'v2'), null);
});

test('links without their blob and downloads without their end are shown as that', () => {
  const cache = temporaryFolder();
  const repository = join(cache, 'models--a--b');
  write(join(repository, 'blobs', `${'1'.repeat(64)}.incomplete`), 'half');
  write(join(repository, 'blobs', `${'2'.repeat(64)}${UNFINISHED}`), 'all');
  mkdirSync(join(repository, 'snapshots', COMMIT), { recursive: true });
  symlinkSync('../../blobs/gone', join(repository, 'snapshots', COMMIT, 'model.safetensors'));
  symlinkSync('round', join(repository, 'snapshots', COMMIT, 'round'));
  const [snapshot, unfinished] = listCached(cache);
  assert.equal(snapshot!.missing, ['model.safetensors', 'round']);
  assert.equal([unfinished!.commit, unfinished!.bytes], [null, 7]);
  assert.equal(filesIn(snapshot!.folder), []);
});

test('a cache that is not there holds nothing', () => {
  assert.equal(listCached(join(temporaryFolder(), 'nowhere')), []);
});

test('a snapshot gets its file by a relative link, and by a copy where no link can be made', () => {
  const folder = temporaryFolder();
  const blob = write(join(folder, 'blobs', 'x'), 'bytes');
  const path = join(folder, 'snapshots', COMMIT, 'deep', 'file');
  place(blob, path);
  assert.is(readlinkSync(path), join('..', '..', '..', 'blobs', 'x'));
  const refuse = (): void => {
    throw new Error('EPERM');
  };
  place(blob, path, [refuse, (from, to) => writeFileSync(to, readFileSync(from))]);
  assert.is(statSync(path).size, 5);
  assert.throws(() => readlinkSync(path));
  assert.throws(() => place(blob, path, [refuse]), /EPERM/);
});

test('lorikeet models says it on a line a revision, and as JSON', async () => {
  const cache = pythonCache();
  const env = { HF_HUB_CACHE: cache };
  const text = await startIn(cache, ['models'], env).done;
  assert.equal([text.code, text.err], [0, '']);
  assert.match(text.out, /org\/small\.model +main a{12} +10 B +safetensors +2026-03-04\n/);
  const json = await startIn(cache, ['models', '--json'], env).done;
  const found = JSON.parse(json.out) as { cache: string; models: { name: string }[] };
  assert.equal([found.cache, found.models.map(({ name }) => name)], [cache, ['org/small.model', 'org/small.model']]);
  const none = await startIn(cache, ['models'], { HF_HUB_CACHE: join(cache, 'none') }).done;
  assert.equal([none.code, none.out], [0, `${join(cache, 'none')}: no models\n`]);
});

test.run();
