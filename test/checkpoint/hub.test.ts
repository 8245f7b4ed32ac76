/** @file Models from a Hub into the cache: whole, gone on with where a download stopped, mended, or found there already. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { listCached, UNFINISHED } from '../../node/checkpoint/cache.ts';
import { FILES, HASH, on, onBench, PATIENCE, page, refused, WEIGHTS, weightsAsked } from './bench.ts';
import { COMMIT, refuse, sendBytes } from './server.ts';

const TAKEN = Object.keys(FILES).filter((path) => !/^\.git|README|onnx|\.bin$/.test(path));

test('a model comes with what it needs and nothing else, laid out as Python does', () =>
  onBench(FILES, async ({ hub, repository, fetch }) => {
    const model = await fetch();
    assert.equal([model.name, model.commit, model.weights], ['org/small', COMMIT, ['model.safetensors']]);
    assert.is(model.folder, join(repository, 'snapshots', COMMIT));
    assert.equal(readdirSync(model.folder).sort(), TAKEN.sort());
    assert.equal(readFileSync(join(model.folder, 'model.safetensors')), WEIGHTS);
    assert.is(readlinkSync(join(model.folder, 'model.safetensors')), join('..', '..', 'blobs', HASH));
    assert.is(readFileSync(join(repository, 'refs', 'main'), 'utf8'), COMMIT);
    assert.is(
      readdirSync(join(repository, 'blobs')).length,
      new Set(TAKEN.map((p) => String(FILES[p as 'README.md']))).size,
    );
    const before = hub.asked.length;
    await fetch();
    assert.equal([...new Set(hub.asked.slice(before).map(({ kind }) => kind))], ['info', 'tree']);
  }));

test('a token is sent to the Hub and to no host it leads on to', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    await fetch();
    for (const { kind, authorization } of hub.asked)
      assert.is(authorization, kind === 'cdn' ? undefined : 'Bearer hf_secret', kind);
    assert.ok(hub.asked.some(({ kind }) => kind === 'cdn'));
  }));

test('progress counts every byte of what is missing, up to all of it', () =>
  onBench(FILES, async ({ fetch }) => {
    const seen: { done: number; total: number }[] = [];
    await fetch({ onProgress: (progress) => seen.push(progress) });
    const total = TAKEN.reduce((sum, path) => sum + FILES[path as 'README.md'].length, 0);
    assert.equal([...new Set(seen.map((p) => p.total))], [total]);
    assert.is(seen.at(-1)!.done, total);
    assert.ok(seen.every(({ done }, i) => done >= (seen[i - 1]?.done ?? 0)));
  }));

test('an answer that ends too soon, again and again, is gone on with from where it ended', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    const cuts = [40_000, 80_000, 120_000, 160_000];
    hub.trick = (asked, response, bytes) => {
      const cut = asked.kind === 'cdn' ? cuts.shift() : undefined;
      if (cut !== undefined) sendBytes(asked, response, bytes!, cut);
      return cut !== undefined;
    };
    const { folder } = await fetch();
    assert.equal(readFileSync(join(folder, 'model.safetensors')), WEIGHTS);
    assert.equal(weightsAsked(hub), ['all', ...[40_000, 80_000, 120_000, 160_000].map((from) => `bytes=${from}-`)]);
  }));

test('a line that breaks in the middle costs no more than what was on its way', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    let isBroken = false;
    hub.trick = (asked, response, bytes) => {
      if (asked.kind !== 'cdn' || isBroken) return false;
      isBroken = true;
      response.writeHead(200, { 'content-length': bytes!.length });
      response.write(bytes!.subarray(0, 50_000), () => response.destroy());
      return true;
    };
    assert.equal(readFileSync(join((await fetch()).folder, 'model.safetensors')), WEIGHTS);
    assert.is(weightsAsked(hub).length, 2);
  }));

test('Ctrl-C leaves what came, and the next time asks for the rest only', () =>
  onBench(FILES, async ({ hub, cache, repository, fetch }) => {
    const stop = new AbortController();
    hub.trick = (asked, response, bytes) => {
      if (asked.kind !== 'cdn') return false;
      response.writeHead(200, { 'content-length': bytes!.length });
      response.write(bytes!.subarray(0, 50_000));
      return true; // and never a byte more
    };
    const onProgress = ({ file, done }: { file: string; done: number }): void => {
      if (file === 'model.safetensors' && done > 50_000) stop.abort();
    };
    const error = await fetch({ signal: stop.signal, onProgress }).catch((thrown: Error) => thrown);
    assert.is((error as Error).name, 'AbortError');
    assert.not(existsSync(join(repository, 'refs')));
    assert.is(listCached(cache).filter(({ commit }) => commit === null).length, 1);
    const have = readFileSync(join(repository, 'blobs', `${HASH}${UNFINISHED}`)).length;
    assert.ok(have > 0 && have <= 50_000, String(have));
    hub.trick = () => false;
    const { folder } = await fetch();
    assert.is(weightsAsked(hub).at(-1), `bytes=${have}-`);
    assert.equal(readFileSync(join(folder, 'model.safetensors')), WEIGHTS);
    assert.not(existsSync(join(repository, 'blobs', `${HASH}${UNFINISHED}`)));
  }));

test('a server that knows no ranges is asked from the start, and gives the same bytes', () =>
  onBench(FILES, async ({ hub, repository, fetch }) => {
    mkdirSync(join(repository, 'blobs'), { recursive: true });
    writeFileSync(join(repository, 'blobs', `${HASH}${UNFINISHED}`), WEIGHTS.subarray(0, 1000));
    hub.trick = (asked, response, bytes) => {
      if (asked.kind !== 'cdn') return false;
      sendBytes({ ...asked, range: undefined }, response, bytes!);
      return true;
    };
    assert.equal(readFileSync(join((await fetch()).folder, 'model.safetensors')), WEIGHTS);
  }));

test('broken or overlong bytes of an earlier time are thrown away and asked for once more', () =>
  onBench(FILES, async ({ hub, repository, fetch }) => {
    mkdirSync(join(repository, 'blobs'), { recursive: true });
    const part = join(repository, 'blobs', `${HASH}${UNFINISHED}`);
    writeFileSync(part, Buffer.alloc(1000, 1));
    assert.equal(readFileSync(join((await fetch()).folder, 'model.safetensors')), WEIGHTS);
    assert.equal(weightsAsked(hub), ['bytes=1000-', 'all']);
    writeFileSync(join(repository, 'blobs', HASH), 'a blob that is too short');
    writeFileSync(part, Buffer.alloc(WEIGHTS.length + 1));
    assert.equal(readFileSync(join((await fetch()).folder, 'model.safetensors')), WEIGHTS);
  }));

test('a small file that was changed on the disk is mended', () =>
  onBench(FILES, async ({ fetch }) => {
    const { folder } = await fetch();
    const path = join(folder, 'config.json');
    writeFileSync(path, FILES['config.json'].replace('llama', 'lLama'));
    await fetch();
    assert.is(readFileSync(path, 'utf8'), FILES['config.json']);
  }));

test('what Python has downloaded is not downloaded again', () =>
  onBench(FILES, async ({ hub, repository, fetch }) => {
    mkdirSync(join(repository, 'blobs'), { recursive: true });
    writeFileSync(join(repository, 'blobs', HASH), WEIGHTS);
    await fetch();
    assert.equal(weightsAsked(hub), []);
  }));

test('a server that falls silent is asked again', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    let isSilent = true;
    hub.trick = ({ kind }) => {
      const was = kind === 'info' && isSilent;
      if (was) isSilent = false;
      return was; // no answer at all
    };
    await fetch({ patience: { ...PATIENCE, tries: 40, silenceMs: 300 } });
    assert.ok(hub.asked.filter(({ kind }) => kind === 'info').length >= 2);
  }));

test('waits grow up to a bound, which ends no try', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    let left = 6;
    hub.trick = ({ kind }, response) => {
      if (kind !== 'info' || left-- <= 0) return false;
      refuse(response, 502);
      return true;
    };
    await fetch({ patience: { ...PATIENCE, tries: 7, mostMs: 4 } });
    assert.is(hub.asked.filter(({ kind }) => kind === 'info').length, 7);
  }));

test('a server that asks for patience is given it, up to a bound', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    let left = 2;
    hub.trick = ({ kind }, response) => {
      if (kind !== 'tree' || left-- <= 0) return false;
      refuse(response, 429, '', { 'retry-after': '0' });
      return true;
    };
    await fetch();
    left = 99;
    hub.trick = (_asked, response) => {
      refuse(response, 429, '', { 'retry-after': '3600' });
      return true;
    };
    const error = await refused(fetch({}, `org/small@${'1'.repeat(40)}`));
    assert.equal([error.mistake, /429.*try again in 3600 s/.test(error.message)], ['unreachable', true]);
  }));

test('weights in shards come as their index names them', () =>
  onBench(
    {
      'config.json': '{}',
      'tokenizer.json': '{"a":1}',
      'model.safetensors.index.json':
        '{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}}',
      'm-1.safetensors': 'one',
      'm-2.safetensors': 'two',
      'consolidated.safetensors': 'both',
    },
    async ({ cache, fetch }) => {
      const model = await fetch();
      assert.equal(model.weights, ['m-1.safetensors', 'm-2.safetensors']);
      assert.not(existsSync(join(model.folder, 'consolidated.safetensors')));
      const offline = { cache, endpoint: 'http://127.0.0.1:1', token: null, isOffline: true };
      assert.equal(await fetch({ hub: offline }), model);
    },
  ));

test('offline, a model comes from the cache whole or not at all', () =>
  onBench(FILES, async ({ hub, cache, repository, fetch }) => {
    const offline = { cache, endpoint: hub.endpoint, token: null, isOffline: true };
    const error = await refused(fetch({ hub: offline }));
    assert.equal([error.mistake, /not whole in .*HF_HUB_OFFLINE is set/.test(error.message)], ['unreachable', true]);
    assert.equal(hub.asked, []);
    const model = await fetch();
    assert.equal(await fetch({ hub: offline }), model);
    assert.equal(await fetch({ hub: offline }, `org/small@${COMMIT}`), model);
    await refused(fetch({ hub: offline }, 'org/small@v2'));
    writeFileSync(join(repository, 'refs', 'main'), 'd'.repeat(40));
    await refused(fetch({ hub: offline }));
  }));

test('where the Hub cannot be reached the copy in the cache serves, and that is said', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    const model = await fetch();
    hub.trick = on('info', page);
    const notices: string[] = [];
    assert.equal(await fetch({ onNotice: (line) => notices.push(line) }), model);
    assert.is(notices.length, 1);
    assert.match(notices[0]!, /web page.*goes on with the copy in the cache, commit c0ffee/);
    hub.trick = on('info', (r) => refuse(r, 404));
    assert.is((await refused(fetch())).mistake, 'usage');
  }));

test('a disk without room is told before a byte is asked for', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    const error = await refused(fetch({ freeBytes: async () => 1_000_000 }));
    assert.match(error.message, /1 MB free; wanted 68 MB for org\/small@main; make room/);
    assert.equal([error.mistake, hub.asked.some(({ kind }) => kind === 'file')], ['storage', false]);
  }));

test('a cache that cannot be written is the disk, not the network', () =>
  onBench(FILES, async ({ cache, fetch }) => {
    writeFileSync(join(cache, '.locks'), 'a file where a folder should be');
    assert.is((await refused(fetch())).mistake, 'storage');
  }));

test('two at once download each file once; the second waits and says for whom', () =>
  onBench(FILES, async ({ hub, fetch }) => {
    const notices: string[] = [];
    const onNotice = (line: string): void => void notices.push(line);
    const [first, second] = await Promise.all([fetch({ onNotice }), fetch({ onNotice })]);
    assert.equal(first, second);
    assert.equal(weightsAsked(hub), ['all']);
    assert.equal(notices, [`org/small@main: waits for process ${process.pid}, which is downloading it`]);
  }));

test('a lock whose holder is gone, here or on another machine, is taken over', () =>
  onBench(FILES, async ({ cache, fetch }) => {
    const locks = join(cache, '.locks', 'models--org--small');
    mkdirSync(locks, { recursive: true });
    const lock = join(locks, 'lorikeet.lock');
    writeFileSync(lock, `${2 ** 30} ${hostname()}`);
    const notices: string[] = [];
    const onNotice = (line: string): void => void notices.push(line);
    await fetch({ onNotice });
    writeFileSync(lock, '1 another-machine');
    utimesSync(lock, new Date(0), new Date(0));
    await fetch({ onNotice });
    assert.equal([notices, existsSync(lock)], [[], false]);
  }));

test.run();
