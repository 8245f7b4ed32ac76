/** @file A peer at work is asked over its control socket, and what it has done stands in its log: processes, sockets, bounds. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { askPeer } from '../../node/control/client.ts';
import { followLog, openLog, readLog } from '../../node/control/log.ts';
import { MAX_REQUEST } from '../../node/control/messages.ts';
import { findSocket } from '../../node/control/place.ts';
import { openControl } from '../../node/control/server.ts';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const start = (...args: string[]): Running => startIn(folder, args);
const json = async (...args: string[]) => {
  const { code, out, err } = await start(...args).done;
  assert.is(code, 0, err);
  return JSON.parse(out);
};
const fresh = (name: string): string => {
  const path = join(temporaryFolder(), name);
  mkdirSync(path, { recursive: true });
  return path;
};

/** Sends bytes to a control socket; all that comes back until it closes. */
function raw(path: string, bytes: string, isOver: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.on('data', (piece) => {
      text += piece;
      if (isOver(text)) socket.destroy();
    });
    socket.on('error', () => {}).on('close', () => resolve(text));
  });
}

test('only its user can open the socket; what is asked in another way is refused in words, and the next request heard', async () => {
  const state = fresh('a.lorikeet');
  const asked: string[] = [];
  const control = await openControl(state, (request) => {
    asked.push(request);
    if (request === 'leave') throw new Error('not now');
    return { request };
  });
  assert.is(statSync(control.path).mode & 0o777, 0o600);
  assert.is(control.path, join(state, 'control.sock'));
  assert.equal(await askPeer(state, 'status'), { request: 'status' });
  const lines = ['{"v":1,"ask":"sing"}', '{"v":2,"ask":"status"}', 'null', '{', '{"v":1,"ask":"pause"}'];
  const answers = (await raw(control.path, `${lines.join('\n')}\n`, (text) => text.split('\n').length > lines.length))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    answers.map(({ v, ok }) => [v, ok]),
    [...Array(4).fill([1, false]), [1, true]],
  );
  assert.match(answers[0].problem, /got "sing"; wanted one of status/);
  assert.match(answers[1].problem, /got version 2; this peer speaks 1/);
  assert.equal(asked, ['status', 'pause']);
  let refusal = '';
  await askPeer(state, 'leave').catch((error) => {
    refusal = error.message;
  });
  assert.match(refusal, /the peer refuses: not now$/);
  control.stop();
  assert.is(await askPeer(state, 'status'), null);
  assert.equal(readdirSync(state), []);
});

test('a request without an end is cut off: one refusal, and the connection closes', async () => {
  const control = await openControl(fresh('b.lorikeet'), () => null);
  const answer = await raw(control.path, 'x'.repeat(50 * MAX_REQUEST), () => false);
  assert.is(answer.trim().split('\n').length, 1, answer);
  assert.match(JSON.parse(answer).problem, /a line longer than/);
  control.stop();
});

test('a state whose path is too long for a socket names one in a folder of its own, which goes away with it', async () => {
  const state = fresh(`${'deep'.repeat(30)}/c.lorikeet`);
  const control = await openControl(state, () => 'here');
  assert.not.ok(control.path.startsWith(state));
  assert.is(findSocket(state), control.path);
  assert.is(statSync(dirname(control.path)).mode & 0o777, 0o700);
  assert.is(await askPeer(state, 'status'), 'here');
  control.stop();
  assert.not.ok(existsSync(dirname(control.path)));
  assert.is(await askPeer(state, 'status'), null);
});

test('a socket that nobody listens to any more is nobody, and is taken over', async () => {
  const state = fresh('d.lorikeet');
  writeFileSync(join(state, 'control.sock'), '');
  assert.is(await askPeer(state, 'status'), null);
  const control = await openControl(state, () => 'here');
  assert.is(await askPeer(state, 'status'), 'here');
  control.stop();
});

test('a peer whose answer never ends is given up', async () => {
  const state = fresh('e.lorikeet');
  const server = createServer((socket) => {
    const pour = (): void => {
      while (socket.writable && socket.write('x'.repeat(1_000_000)));
    };
    socket.on('drain', pour).on('error', () => {});
    pour();
  }).listen(join(state, 'control.sock'));
  await new Promise((resolve) => server.once('listening', resolve));
  let said = '';
  await askPeer(state, 'status').catch((error) => {
    said = error.message;
  });
  assert.match(said, /a longer answer than any/);
  server.close();
});

test('a log is two files of bounded size; it is followed across the rename, and a torn line is left out', () => {
  const state = fresh('f.lorikeet');
  const log = openLog(state, assert.unreachable, 1000);
  const next = followLog(state);
  const seen: unknown[] = [];
  for (let round = 0; round < 100; round++) {
    log.write('round', { round });
    if (round % 7 === 0) seen.push(...next().map((entry) => entry.round));
  }
  seen.push(...next().map((entry) => entry.round));
  assert.equal(
    seen,
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.equal(readdirSync(state).sort(), ['log.1.jsonl', 'log.jsonl']);
  const sizes = readdirSync(state).map((name) => statSync(join(state, name)).size);
  assert.ok(Math.max(...sizes) < 1100, `${sizes}`);
  writeFileSync(join(state, 'log.jsonl'), '{"time":"2026-01-01T00:00:00.000Z","event":"over"}\n{"time":"20');
  assert.equal(
    readLog(state, 1).map(({ event }) => event),
    ['over'],
  );
});

test('a peer at work tells how it stands, is paused, goes on, and leaves with 0; the other goes on without it', async () => {
  writeTexts(folder, 'a.tsv', ['a great film', 'what a bad meal', 'a fine song', 'an awful book']);
  writeTexts(folder, 'b.tsv', ['a lovely film', 'what a poor meal', 'a good song', 'a terrible book']);
  const first = start('up', '--data', 'a.tsv', '--rounds', '100000', '--local-steps', '1', '--name', 'Ann', ...MACHINE);
  const [, invite] = await said(first, /lorikeet join (\S+#\S+)/);
  const second = start(
    'join',
    invite!,
    '--data',
    'b.tsv',
    '--json',
    '--name',
    'Bert (lab)',
    '--held-out',
    '1',
    ...MACHINE,
  );
  const [, id] = await said(second, /peer (\S+), run/);
  const B = ['--state', 'b.tsv.lorikeet'];
  const watch = start('status', '--watch', '--json', ...B);
  await said(watch, /"phase":"training".*"mixedWith":\{"12D3.*"comparison":\{"texts":1,"base":[01],/);

  const told = await json('status', '--json', ...B);
  assert.equal([told.isRunning, told.stage, told.view.id, told.pid], [true, 'taking part', id, second.child.pid]);
  assert.is(told.connected.length, 1);
  assert.not.ok(JSON.stringify(told).includes(invite!.split('#')[1]!), 'what lets others in is not told');
  const human = await start('status', ...B).done;
  assert.match(human.out, /^peer +Bert \(lab\), 12D3/m);
  assert.match(human.out, /^round +\d+ of 100002$/m);
  assert.match(human.out, /^your texts +3 labelled, 0 unlabelled$/m);
  assert.match(human.out, /^joining +base \d+\.0 %, .*on 1 text nobody here trains on$/m);
  assert.match(human.out, /^connected to +Ann \(\.\.\w{6}\) on this machine$/m);
  const members = await json('peers', '--json', '--state', 'a.tsv.lorikeet');
  assert.equal(
    members.peers.map(({ id, name, isConnected, way }: { [key: string]: unknown }) => [id, name, isConnected, way]),
    [[id, 'Bert (lab)', true, { id, relay: null, through: 'machine' }]],
  );

  assert.match((await start('pause', ...B).done).out, /: paused: what it is at ends/);
  await said(watch, /"isHeld":true/);
  const held = (await json('status', '--json', ...B)).view.round;
  const other = start('status', '--watch', '--json', '--state', 'a.tsv.lorikeet');
  const further = Array.from({ length: 400 }, (_, i) => held + 4 + i).join('|');
  await said(other, new RegExp(`"round":(${further}),`));
  other.child.kill('SIGINT');
  const later = await json('status', '--json', ...B);
  assert.ok(later.view.round <= held + 1, `round ${later.view.round} after ${held}`);
  assert.is(later.connected.length, 1, 'it stays connected');
  const resumed = await json('resume', '--json', ...B);
  assert.is(resumed.view.isHeld, false);

  const left = await start('leave', ...B).done;
  assert.match(left.out, /: leaves at round \d+ of 100002/);
  const { code, out, err } = await second.done;
  assert.is(code, 0, err);
  assert.match(err, /left the run at round \d+; the adapter is in b\.tsv\.lorikeet\/adapter/);
  assert.ok(existsSync(join(folder, 'b.tsv.lorikeet', 'adapter', 'adapter_model.safetensors')));
  assert.is(JSON.parse(out).id, id);
  await said(watch, /"isRunning":false/);
  watch.child.kill('SIGINT');

  const kept = await json('status', '--json', ...B);
  assert.equal([kept.isRunning, kept.isOver], [false, false]);
  const again = await start('pause', ...B).done;
  assert.equal([again.code, again.out], [4, '']);
  const events = (await start('logs', '--json', '--lines', '1000000', ...B).done).out.trim().split('\n');
  const names = events.map((line) => JSON.parse(line).event);
  assert.is(names[0], 'started');
  assert.is(names.at(-1), 'left');
  for (const name of ['round', 'paused', 'resumed'])
    assert.ok(names.includes(name), `${name} in ${[...new Set(names)]}`);
  const written = readFileSync(join(folder, 'b.tsv.lorikeet', 'log.jsonl'), 'utf8');
  for (const secret of ['lovely film', 'poor meal', invite!.split('#')[1]!]) assert.not.ok(written.includes(secret));

  first.child.kill('SIGINT');
  assert.is((await first.done).code, 130);
  assert.not.ok(existsSync(join(folder, 'a.tsv.lorikeet', 'control.sock')));
});

test('logs -f prints what comes, and ends quietly with its reader', async () => {
  const state = fresh('g.lorikeet');
  writeFileSync(join(state, 'run.json'), '{}');
  const log = openLog(state, assert.unreachable);
  log.write('started');
  const logs = start('logs', '-f', '--state', state);
  await said(logs, /Z {2}started\n/);
  log.write('notice', { text: 'something' });
  await said(logs, /Z {2}something\n/);
  logs.child.stdout!.destroy();
  log.write('over');
  assert.is((await logs.done).err, '');
});

test.run();
