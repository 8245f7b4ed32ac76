/** @file Commands in a terminal: closed pipes and hang-ups end quietly, with the state kept; help fits. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createDisplay } from '../../node/display.ts';
import { createProgram } from '../../node/program/program.ts';
import { type Running, said, startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
writeFileSync(join(folder, 'a.tsv'), 'label\ttext\n1\ta great film\n0\twhat a bad meal\n1\ta fine song\n');
const start = (...args: string[]): Running => startIn(folder, args);
const PEER = ['--data', 'a.tsv', '--device', 'cpu', '--threads', '1', '--label-prior', '0,0'];

test('a peer whose stderr nobody reads any more stops quietly and keeps its state', async () => {
  const peer = start('up', ...PEER, '--state', 'pipe.lorikeet', '--min-peers', '1', '--rounds', '100000', '--verbose');
  await said(peer, /lorikeet join/);
  peer.child.stderr!.destroy();
  const { code, out } = await peer.done;
  assert.equal([code, out], [130, '']);
  assert.ok(existsSync(join(folder, 'pipe.lorikeet', 'snapshot.bin')));
  assert.not.ok(existsSync(join(folder, 'pipe.lorikeet', 'lock')));
});

test('a demo whose stderr is closed in the middle of its training stops its worker and ends', async () => {
  const demo = start('demo', '--peers', '2', '--rounds', '500', '--device', 'cpu', '--threads', '1');
  await said(demo, /round 1 of/);
  demo.child.stderr!.destroy();
  const { code, out } = await demo.done;
  assert.equal([code, out], [130, '']);
});

test('a result whose reader has gone is dropped without a word', async () => {
  const scenario = 'name: two\npeers: 2\nsize: 4\nseeds: [1]\nsettings: { rounds: 2 }\n';
  writeFileSync(join(folder, 'two.yaml'), scenario);
  const sim = start('sim', 'two.yaml', '--json', '--out', 'results');
  sim.child.stdout!.destroy();
  const { code, err } = await sim.done;
  assert.is(code, 0, err);
  assert.not.match(err, /EPIPE|Error|at .*\.js/);
  assert.ok(readdirSync(join(folder, 'results')).includes('two.jsonl'), 'the records are written all the same');
});

test('a terminal that closes (SIGHUP) stops a peer as SIGTERM does: state kept, and it goes on from there', async () => {
  const args = [...PEER, '--state', 'hup.lorikeet', '--min-peers', '1', '--rounds', '100000', '--verbose'];
  for (const signal of ['SIGHUP', 'SIGTERM'] as const) {
    const peer = start('up', ...args);
    await said(peer, /round [1-9]\d* of/);
    peer.child.kill(signal);
    const { code, err } = await peer.done;
    assert.is(code, 130, err);
    assert.match(err, /stopped at round [1-9]\d*; the same command goes on from there/);
    assert.not.ok(existsSync(join(folder, 'hup.lorikeet', 'lock')));
  }
});

test('--json --follow prints one object an event: the invite first, rounds in order, the result last', async () => {
  const { code, out, err } = await start(
    ...['up', ...PEER, '--state', 'follow.lorikeet', '--min-peers', '1'],
    ...['--rounds', '3', '--local-steps', '1', '--json', '--follow'],
  ).done;
  assert.is(code, 0, err);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.match(events[0].invite, /^lorikeet1:\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/.*#/);
  assert.is(events[0].event, 'invite');
  const rounds = events.filter(({ event }) => event === 'round').map(({ round }) => round);
  assert.equal(
    rounds,
    [...rounds].sort((a, b) => a - b),
  );
  assert.ok(rounds.length >= 3, `rounds ${rounds}`);
  assert.is(events.at(-1).event, 'result');
  assert.is(events.at(-1).runId, events[0].runId);
  assert.is(events.filter(({ event }) => event === 'invite' || event === 'result').length, 2);
});

test('--follow without --json is refused', async () => {
  const { code, err } = await start('up', ...PEER, '--follow').done;
  assert.is(code, 2);
  assert.match(err, /^lorikeet: --follow: wanted with --json/);
});

/** Every command, by the words that name it. */
function namesOf(command: Command, above: readonly string[] = []): string[][] {
  return command.commands.flatMap((one) => [[...above, one.name()], ...namesOf(one, [...above, one.name()])]);
}

test('the help of every command fits 80 columns, shows ten options or fewer, marks what is required, and gives two examples', async () => {
  const names = namesOf(createProgram());
  assert.ok(names.length > 35, `${names.length}`);
  const helps = new Map<string, string>();
  for (let at = 0; at < names.length; at += 8)
    await Promise.all(
      names.slice(at, at + 8).map(async (words) => {
        const { code, out, err } = await start(...words, '--help').done;
        assert.equal([code, err], [0, ''], words.join(' '));
        helps.set(words.join(' '), out);
      }),
    );
  for (const [name, out] of helps) {
    assert.equal(
      out.split('\n').filter((line) => line.length > 80 && !line.startsWith('  lorikeet ')),
      [],
      name,
    );
    assert.not.match(out, /^Other:$/m);
    const options = [...out.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map((m) => m[1]!);
    assert.ok(options.includes('help') && options.length <= 11, `${name}: ${options}`);
    const examples = /Examples:\n((?: {2}lorikeet .*\n)+)/.exec(`${out}\n`)?.[1] ?? '';
    assert.is(examples.trim().split('\n').length, 2, `${name}: ${examples}`);
    for (const line of examples.trim().split('\n'))
      assert.ok(line.includes(`lorikeet ${name}`), `an example of ${name}: ${line}`);
  }
  assert.match(helps.get('up')!, /^Data:\n {2}--data <file> +\(required\)/m);
});

test('help fits a narrow terminal', async () => {
  for (const [width, args] of [
    [40, ['--help']],
    [60, ['--help-all']],
    [40, ['status', '--help']],
  ] as const) {
    const { out } = await startIn(folder, args, { COLUMNS: String(width) }).done;
    const long = out.split('\n').filter((line) => line.length > width && !line.startsWith('  lorikeet '));
    // What the program is, and where there is more, are sentences that a terminal wraps by itself.
    assert.ok(long.length <= (args[0] === 'status' ? 0 : 2), `${args}: ${long.join('\n')}`);
  }
});

test('a dumb terminal gets lines, and nothing that moves', () => {
  const drawn = (term: string): string => {
    const stream = new PassThrough();
    process.env.TERM = term;
    const display = createDisplay(Object.assign(stream, { isTTY: true, columns: 40 }) as unknown as NodeJS.WriteStream);
    display.live(['a block']);
    display.live(['another']);
    display.note('a line');
    display.close();
    return String(stream.read());
  };
  const { TERM } = process.env;
  assert.is(drawn('dumb'), 'a line\n');
  const moving = drawn('xterm');
  assert.ok(moving.indexOf('a block') < moving.indexOf('\x1b['), moving);
  assert.ok(moving.indexOf('\x1b[') < moving.indexOf('a line'), moving);
  if (TERM === undefined) delete process.env.TERM;
  else process.env.TERM = TERM;
});

test('who closes a pipe after a line has that line, and no word on stderr', async () => {
  for (const args of ['--help-all', 'fields settings', 'completion bash', 'config show --origins']) {
    const line = `"$0" "$1" ${args} | head -1; exit $((PIPESTATUS[0]))`;
    const { code, out, err } = await startIn(folder, [], {}, ['bash', '-c', line]).done;
    assert.equal([code, err], [0, ''], args);
    assert.is(out.trim().split('\n').length, 1);
  }
});

test('a word that is no command of a command is answered with the one that is meant', async () => {
  const { code, err } = await start('peers', 'baan').done;
  assert.is(code, 2);
  assert.match(err, /unknown command 'baan' \(Did you mean ban\?\); see "lorikeet peers --help"/);
});

test('the help of the program fits a screen, names every command once and shows two of them', async () => {
  const { code, out } = await start('--help').done;
  assert.is(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.ok(lines.length <= 26, `${lines.length} lines`);
  assert.equal(
    lines.filter((line) => line.length > 80),
    [],
  );
  const all = (await start('--help-all').done).out;
  const names = [...all.matchAll(/^ {2}([a-z]+)(?: \[options\]| <)/gm)].map((m) => m[1]!);
  assert.ok(names.length > 15, all);
  const [listed] = out.split('Examples:');
  for (const name of names) assert.match(listed!, new RegExp(`(^.{11}| )${name}(,|  |$)`, 'm'));
  assert.is(/Examples:\n((?: {2}lorikeet .*\n)+)/.exec(out)?.[1]?.trim().split('\n').length, 2);
});

test('--help-all shows every option in groups', async () => {
  const { code, out } = await start('up', '--help-all').done;
  assert.is(code, 0);
  for (const flag of ['--learning-rate', '--round-deadline-ms', '--codec', '--config', '--pseudo-max'])
    assert.match(out, new RegExp(`^ {2}${flag} `, 'm'));
  const headings = [...out.matchAll(/^([A-Z][\w ]+):$/gm)].map((m) => m[1]!);
  assert.equal(headings.slice(0, 3), ['Data', 'Task', 'Run']);
  assert.not.ok(headings.includes('Other'), out);
  assert.equal(
    out.split('\n').filter((line) => line.length > 80),
    [],
  );
  assert.not.ok(out.includes('\x1b'), 'no colours');
});

test.run();
