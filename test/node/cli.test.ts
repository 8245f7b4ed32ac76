/** @file The command line as a user meets it: exit codes, one-line errors, and a swarm of processes one of which comes back. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateKey } from '../../node/admission/identity.ts';
import { issueTicket } from '../../node/admission/ticket.ts';
import { formatInvite, parseInvite } from '../../node/invite.ts';
import { type Running, said, startIn } from '../processes.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const start = (...args: string[]): Running => startIn(folder, args);
const run = (...args: string[]) => start(...args).done;

function writeData(name: string, rows: readonly (readonly [string, string])[]): void {
  writeFileSync(join(folder, name), `label\ttext\n${rows.map(([label, text]) => `${label}\t${text}`).join('\n')}\n`);
}
const things = ['film', 'meal', 'phone', 'hotel', 'book', 'song', 'waiter', 'plot'];
const rowsFor = (good: string, bad: string): [string, string][] =>
  things.flatMap((thing): [string, string][] => [
    ['1', `a ${good} ${thing}`],
    ['0', `what a ${bad} ${thing}`],
  ]);
writeData('a.tsv', rowsFor('great', 'terrible'));
writeData('b.tsv', rowsFor('lovely', 'awful'));
writeData('c.tsv', rowsFor('wonderful', 'boring'));
writeData('test.tsv', rowsFor('fine', 'bad'));
writeFileSync(join(folder, 'bad.tsv'), 'label\ttext\n1\tfine\nmaybe\tso so\n');

const INVITE =
  '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo#00112233445566778899aabbccddeeff';
/** Of a closed run: its ticket makes it long, so that it is pasted over several lines. */
const CLOSED = await closedInvite();

async function closedInvite(): Promise<string> {
  const { runId, addresses } = parseInvite(INVITE);
  const ticket = issueTicket({ runId, key: await generateKey(), chain: [], uses: 1, expires: 0 });
  return formatInvite({ addresses, runId, ticket });
}

const MISTAKES: readonly [args: string[], code: number, message: RegExp][] = [
  [[], 2, /no command given/],
  [['dmeo'], 2, /unknown command 'dmeo'.*Did you mean demo/],
  [['demo', '--sede', '3'], 2, /unknown option '--sede'.*Did you mean --seed/],
  [['demo', '--peers', 'many'], 2, /--peers: got "many"; wanted an integer from 1 to 64/],
  [['demo', '--codec', 'f8'], 2, /codec: got "f8"; wanted f32 \| f16 \| int8/],
  [['demo', '--device', 'tpu'], 2, /--device: got "tpu"/],
  [['up'], 2, /required option '--data <file>'.*see "lorikeet up --help"/],
  [['up', '--dta', 'a.tsv'], 2, /unknown option '--dta' \(Did you mean --data\?\)/],
  [['up', '--data', 'missing.tsv'], 2, /missing\.tsv: cannot be read/],
  [
    ['up', '--data', 'bad.tsv', '--label-prior', '0,0'],
    2,
    /bad\.tsv:3: label "maybe" is no class; .*wanted negative or positive/,
  ],
  [['up', '--data', 'a.tsv', '--base', 'nowhere', '--state', 'fresh.lorikeet'], 2, /nowhere: not a model folder/],
  [['join', 'hello', '--data', 'a.tsv'], 2, /invite: got "hello"; wanted lorikeet1:\/ip4/],
  [['join', INVITE, '--data', 'a.tsv', 'b.tsv'], 2, /join: got "b\.tsv" beside the invite; wanted one invite/],
  [['join', 'c.tsv', INVITE, '--data', 'a.tsv'], 2, /join: got "c\.tsv" beside the invite/],
  [['join', INVITE.slice(0, -9), '--data', 'a.tsv'], 2, /invite: cut off, its run has 23 digits; wanted 40; copy/],
  [
    ['join', INVITE.replace('tcp/1/', 'tcp/99999/'), '--data', 'a.tsv'],
    2,
    /invite: address 1 of 1, .*: port "99999"; wanted 1 to 65535/,
  ],
  [
    ['join', INVITE, '--data', 'a.tsv', '--state', 'nobody.lorikeet'],
    4,
    /nobody answers at \/ip4\/127\.0\.0\.1\/tcp\/1/,
  ],
  [
    ['join', 'lorikeet', 'join', `"${INVITE}"`, '--data', 'FILE', '--data', 'a.tsv', '--state', 'nobody.lorikeet'],
    4,
    /nobody answers at \/ip4\/127\.0\.0\.1\/tcp\/1/,
  ],
  [
    ['join', ...CLOSED.match(/.{1,70}/g)!, '--data', 'a.tsv', '--state', 'nobody.lorikeet'],
    4,
    /nobody answers at \/ip4\/127\.0\.0\.1\/tcp\/1/,
  ],
  [['join', ...CLOSED.match(/.{1,70}/g)!, 'b.tsv', '--data', 'a.tsv'], 2, /join: got "b\.tsv" beside the invite/],
  [['up', '--data', 'a.tsv', '--state', 'a.tsv/x'], 5, /a\.tsv\/x/],
  [['up', '--data', 'a.tsv', '--host', 'localhost'], 2, /--host: got "localhost"; wanted an IP address/],
  [['up', '--data', 'a.tsv', '--labels', 'a=great,b=great'], 2, /labels: "great" stands twice/],
  [['up', '--data', 'a.tsv', '--label-prior', '1,1e400'], 2, /labelPrior: got "1,1e400"; wanted finite numbers/],
  [['demo', '--out', 'a.tsv'], 5, /"a\.tsv": cannot be written/],
  [['eval', '--adapter', 'nowhere', '--data', 'test.tsv'], 2, /nowhere: not an adapter folder/],
  [['export', '-o', 'x'], 2, /no \*\.lorikeet folder here|of them here/],
  [['export', '-o', 'x', '--state', 'nowhere'], 2, /nowhere: no state of a peer/],
];
for (const [args, code, message] of MISTAKES) {
  test(`lorikeet ${args.join(' ').slice(0, 60)} says what is wrong in one line and exits ${code}`, async () => {
    const result = await run(...args);
    assert.is(result.code, code, result.err);
    assert.match(result.err, message);
    assert.is(result.err.trim().split('\n').length, 1, result.err);
    assert.is(result.out, '');
  });
}

test('a mistake leaves nothing behind', () => {
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.lorikeet')),
    [],
  );
});

test('a port in use is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const result = await run(
    'up',
    '--data',
    'a.tsv',
    '--state',
    'port.lorikeet',
    '--port',
    String(port),
    '--label-prior',
    '0,0',
    '--device',
    'cpu',
  );
  server.close();
  assert.is(result.code, 2);
  assert.match(result.err, new RegExp(`tcp/${port}: cannot listen there`));
  assert.not.ok(existsSync(join(folder, 'port.lorikeet')));
});

test('a command that fails leaves no empty folders; one that was there before stays', async () => {
  const here = temporaryFolder();
  mkdirSync(join(here, 'mine'));
  const scenario = join(ROOT, 'sim', 'scenarios', 'consensus.yaml');
  const experiment = join(ROOT, 'sim', 'experiments', 'labels.yaml');
  for (const out of ['deep/out', 'mine']) {
    assert.is((await startIn(here, ['demo', '--base', 'nowhere', '--out', out]).done).code, 2);
    assert.is((await startIn(here, ['sim', scenario, '--report', '--out', out]).done).code, 2);
    assert.is((await startIn(here, ['experiment', experiment, '--report', '--out', out]).done).code, 2);
  }
  assert.equal(readdirSync(here, { recursive: true }), ['mine']);
});

test('help lists every command and every setting', async () => {
  const help = await run('--help');
  assert.is(help.code, 0);
  for (const name of ['demo', 'up', 'join', 'eval', 'export']) assert.match(help.out, new RegExp(`\\b${name}\\b`));
  const up = await run('up', '--help-all');
  for (const flag of ['--learning-rate', '--round-deadline-ms', '--codec', '--config'])
    assert.match(up.out, new RegExp(flag));
});

test('three processes learn together; one is stopped, comes back with its key and round, and all finish', async () => {
  const common = ['--device', 'cpu', '--threads', '1'];
  writeFileSync(join(folder, 'run.yaml'), 'rounds: 30\nlocalSteps: 4\nminPeers: 3\nclosingRounds: 2\n');
  const first = start('up', '--data', 'a.tsv', '--config', 'run.yaml', ...common);
  const [, invite] = await said(first, /lorikeet join (\S+#\S+)/);
  const second = start('join', invite!, '--data', 'b.tsv', '--json', ...common);
  const third = start('join', invite!, '--data', 'c.tsv', ...common);
  const [, id] = await said(third, /peer (\S+), run/);
  await said(third, /round ([3-9]|1\d) of 32/);
  third.child.kill('SIGINT');
  const stopped = await third.done;
  assert.is(stopped.code, 130);
  const round = Number(/stopped at round (\d+)/.exec(stopped.err)![1]);
  assert.ok(round >= 3);
  const back = start('join', invite!, '--data', 'c.tsv', '--test', 'test.tsv', ...common);
  const [, idAgain] = await said(back, /peer (\S+), run/);
  assert.is(idAgain, id);
  const results = await Promise.all([first.done, second.done, back.done]);
  assert.equal(
    results.map((r) => r.code),
    [0, 0, 0],
    results.map((r) => r.err).join('\n'),
  );
  const rounds = [...results[2]!.err.matchAll(/^round (\d+) of 32: (\d+) members, mixed (\d+)/gm)].map(
    (m) => m.slice(1).map(Number) as [number, number, number],
  );
  assert.ok(rounds[0]![0] >= round, `came back at round ${rounds[0]} after ${round}`);
  assert.ok(
    rounds.some(([, members, mixed]) => members === 3 && mixed === 2),
    'mixed with both again',
  );
  assert.match(results[2]!.out, /base, zero-shot +\d+\.\d %\n.*\nalone +\d+\.\d %\nswarm +\d+\.\d %/);
  const json = JSON.parse(results[1]!.out);
  assert.is(json.rounds, 32);
  assert.ok(json.sentBytes > 12 * 33_000);

  const again = await run('up', '--data', 'a.tsv', '--rank', '4', ...common);
  assert.is(again.code, 3);
  assert.match(again.err, /settings are others/);
  const other = await run('join', invite!, '--data', 'a.tsv', '--state', 'other.lorikeet', '--rank', '4');
  assert.is(other.code, 2); // join takes no setting that would make another run
});

test('what was learned is exported, read back by eval, and beats the base', async () => {
  const exported = await run('export', '--state', 'b.tsv.lorikeet', '-o', 'shared');
  assert.is(exported.code, 0, exported.err);
  assert.equal(readdirSync(join(folder, 'shared')).sort(), [
    'README.md',
    'adapter_config.json',
    'adapter_model.safetensors',
    'lorikeet.json',
  ]);
  const config = JSON.parse(readFileSync(join(folder, 'shared', 'adapter_config.json'), 'utf8'));
  assert.equal(
    [config.peft_type, config.r, config.lora_alpha, config.target_modules],
    ['LORA', 8, 16, ['query', 'value']],
  );
  const result = await run('eval', '--adapter', 'shared', '--data', 'test.tsv', '--device', 'cpu', '--json');
  assert.is(result.code, 0, result.err);
  const { examples, adapter, base } = JSON.parse(result.out);
  assert.is(examples, 16);
  assert.ok(adapter >= base && adapter > 0.8, `adapter ${adapter}, base ${base}`);
  assert.is(JSON.parse(result.out).labelPriorRemoved, true);
  const asked = ['--prompt', '{text} it is {mask} .']; // no prior was measured for this one
  const other = await run('eval', '--adapter', 'shared', '--data', 'test.tsv', '--device', 'cpu', ...asked);
  assert.match(other.out, /base, zero-shot +\d+\.\d %\n.*adapter +\d/);
  assert.not.match(other.out, /prior/);
});

test('a state that holds another run, which is not over, is not joined', async () => {
  mkdirSync(join(folder, 'mixed'), { recursive: true });
  copyFileSync(join(folder, 'b.tsv.lorikeet', 'run.json'), join(folder, 'mixed', 'run.json'));
  const result = await run('join', INVITE, '--data', 'b.tsv', '--state', 'mixed');
  assert.is(result.code, 3, result.err);
  assert.match(result.err, /invite: is for run 00112233445566778899aabbccddeeff, mixed holds run/);
});

test.run();
