/** @file Peers without a terminal: --detach leaves one at work in the background, and a service's unit is one that systemd takes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const temporary = join(folder, 'temporary');
mkdirSync(temporary);
const start = (...args: string[]) =>
  startIn(folder, args, { XDG_CONFIG_HOME: join(folder, 'home'), TMPDIR: temporary });
writeTexts(folder, 'a.tsv', ['a great film', 'what a bad meal', 'a fine song', 'an awful book']);

test('up --detach ends when its peer is up, and tells invite, state and process; the peer leaves when it is told to', async () => {
  const args = ['--data', 'a.tsv', '--local-steps', '1', '--rounds', '1000', '--no-ui', ...MACHINE];
  const { code, out, err } = await start('up', '--detach', '--json', ...args).done;
  assert.is(code, 0, err);
  const { pid, state, invite } = JSON.parse(out);
  process.on('exit', () => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has left.
    }
  });
  assert.is(state, 'a.tsv.lorikeet');
  assert.match(invite, /^lorikeet1:\/ip4\/127\.0\.0\.1\/tcp\//);
  assert.match(err, /peer 12D3KooW\w+, run/, 'what it says at its start is said');
  assert.not.match(readdirSync(temporary).join(' '), /lorikeet-/, 'nothing of it is left behind');
  const told = JSON.parse((await start('status', '--json').done).out);
  assert.equal([told.pid, told.isRunning], [pid, true]);
  const logs = start('logs', '-f');
  await said(logs, / {2}started, /);
  assert.is((await start('leave').done).code, 0);
  await said(logs, / {2}left, /);
  logs.child.kill('SIGINT');
  const written = readFileSync(join(folder, state, 'log.jsonl'), 'utf8');
  for (const secret of ['great film', invite.split('#')[1]]) assert.not.ok(written.includes(secret));
});

test('one that cannot begin says why, with its exit code', async () => {
  const { code, out, err } = await start('up', '--detach', '--data', 'missing.tsv').done;
  assert.equal([code, out], [2, '']);
  assert.match(err, /^lorikeet: missing\.tsv: cannot be read/);
});

/** Null where systemd-analyze is not here. */
function verified(path: string, ...flags: string[]): string | null {
  const env = { ...process.env, XDG_RUNTIME_DIR: folder };
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', ...flags, path], { encoding: 'utf8', env });
  if (error) {
    console.log('skipped: systemd-analyze is not on this machine');
    return null;
  }
  return status === 0 && stderr.trim() === '' ? '' : `${status} ${stderr}`;
}

test('units of a machine and of a user are ones that systemd takes, whatever stands in the command', async () => {
  for (const [flags, words, wanted] of [
    [[], [], / up --config run\.yaml$/m],
    [
      ['--user'],
      ['up', '--data', 'a b.tsv', '--labels', 'x=$HOME,y=100%'],
      /up --data "a b\.tsv" --labels "x=\$\$HOME,y=100%%"$/m,
    ],
  ] as const) {
    const { code, out, err } = await start('service', 'install', '--print', ...flags, '--', ...words).done;
    assert.is(code, 0, err);
    assert.match(out, wanted);
    assert.match(out, /^NoNewPrivileges=yes$/m);
    assert.is(/^ProtectSystem=strict$/m.test(out), flags.length === 0);
    const path = join(folder, 'lorikeet-test.service');
    writeFileSync(path, out);
    const problem = verified(path, ...flags);
    if (problem !== null) assert.is(problem, '');
  }
});

test('a service of another is not written over, and what is no peer is no service', async () => {
  const units = join(folder, 'home', 'systemd', 'user');
  mkdirSync(units, { recursive: true });
  writeFileSync(join(units, 'mine.service'), 'of somebody else');
  for (const [args, wanted] of [
    [['install', '--user', '--name', 'mine'], /mine\.service: is another service; --name names one of your own/],
    [['install', '--user', '--name', '../x'], /--name: got "\.\.\/x"; wanted letters/],
    [['install', '--print', '--', 'demo'], /service install: got "demo"; wanted up or join/],
    [['uninstall', '--user', '--name', 'none'], /none\.service: no such service/],
  ] as const) {
    const { code, out, err } = await start('service', ...args).done;
    assert.equal([code, out], [2, ''], err);
    assert.match(err, wanted);
  }
  assert.is(readFileSync(join(units, 'mine.service'), 'utf8'), 'of somebody else');
  assert.not.ok(existsSync(join(units, 'lorikeet.service')));
});

test.run();
