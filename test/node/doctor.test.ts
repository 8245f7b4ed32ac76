/** @file The doctor: what it makes of a machine, of back ends that fail, lie or abort, and the command as it is used. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressesOf, clockAt, type Machine } from '../../node/doctor/machine.ts';
import { diagnose, reportLines } from '../../node/doctor/report.ts';
import { type Try, tryDevices } from '../../node/doctor/tries.ts';
import { startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const MACHINE: Machine = {
  versions: { lorikeet: '1', node: '20', onnxruntime: '1', platform: 'linux 6 x64' },
  cpu: { name: 'a CPU', cores: 2 },
  memory: { total: 8e9, limit: 4e9, usable: 2e9 },
  disks: [
    { use: 'cache', path: '/cache', free: 1e9, problem: null },
    { use: 'here', path: '/here', free: 1e9, problem: null },
  ],
  network: { problem: null, addresses: [{ address: '192.168.1.5', reach: 'this network' }] },
  clock: clockAt(Date.UTC(2027, 1)),
  nvidia: null,
};
const CPU: Try = {
  device: 'cpu',
  state: 'works',
  problem: null,
  firstMs: 300,
  ms: 70,
  error: null,
  nodes: 100,
  fallen: {},
  peakBytes: 1e8,
  keepsState: false,
  copiedBytes: 2000,
  half: null,
};
const HALF = { problem: null, ms: 40, error: 2e-3 };
const GPU: Try = { ...CPU, device: 'webgpu', error: 1e-6, fallen: { Cast: 3, Size: 8 }, keepsState: true, half: HALF };
const AUTO = ['webgpu', 'cpu'];

test('a machine whose back ends work is told the device it will train on, and what to do next', () => {
  const found = diagnose('lorikeet-mini', MACHINE, [CPU, GPU], AUTO);
  assert.equal([found.canTrain, found.device, found.problems, found.next], [true, 'webgpu', [], 'lorikeet demo']);
  const text = reportLines(found).join('\n');
  assert.match(text, /11 of 100: Size 8, Cast 3/);
  assert.match(text, /webgpu +works .* 40 ms, 2\.0e-3 +2\.0\d* kB /);
  assert.match(text, /webgpu: adapter and moments stay on it between the steps of a round/);
  assert.not.match(text, /--compute f16|cpu: adapter/);
  const half = { problem: 'it does not compute in float16', ms: null, error: null };
  const without = reportLines(diagnose('lorikeet-mini', MACHINE, [CPU, { ...GPU, keepsState: false, half }], AUTO));
  assert.match(without.join('\n'), /webgpu: --compute f16: it does not compute in float16/);
  assert.match(without.join('\n'), /webgpu: adapter and moments pass through the processor's memory at every step/);
  assert.match(text, /this network could reach 192\.168\.1\.5/);
  assert.match(text, /2\.00 GB usable of 8\.00 GB; this container may take 4\.00 GB/);
  assert.match(text, /verdict: training runs here, on the WEBGPU\n/);
  assert.not.ok(text.includes('problem:'));
});

test('a back end that computes something else is not used, and the command says so', () => {
  const wrong: Try = { ...GPU, state: 'wrong', error: 0.5, problem: 'far off' };
  const found = diagnose('other', MACHINE, [CPU, wrong], AUTO);
  assert.equal([found.canTrain, found.device], [true, 'cpu']);
  assert.is(found.next, 'lorikeet up --data YOURS.csv --base other --device cpu');
});

test('without a back end, or a cache to write, training cannot run', () => {
  const failed: Try = { ...CPU, state: 'fails', problem: 'it is broken', ms: null, firstMs: null };
  const none = diagnose('lorikeet-mini', MACHINE, [failed], AUTO);
  assert.not.ok(none.canTrain);
  assert.match(none.problems.join(), /no back end can train: it is broken/);
  const disks = [{ ...MACHINE.disks[0]!, problem: 'read-only' }, MACHINE.disks[1]!];
  const closed = diagnose('lorikeet-mini', { ...MACHINE, disks }, [CPU], AUTO);
  assert.equal([closed.canTrain, closed.next], [false, 'LORIKEET_CACHE=FOLDER lorikeet doctor']);
  assert.match(reportLines(closed).join('\n'), /verdict: training cannot run here/);
});

test('a folder that cannot be written, little memory and a clock of 1970 are problems, and training goes on', () => {
  const disks = [MACHINE.disks[0]!, { ...MACHINE.disks[1]!, problem: 'read-only' }];
  const odd = { ...MACHINE, disks, clock: clockAt(0), memory: { ...MACHINE.memory, usable: 1e8 } };
  const found = diagnose('lorikeet-mini', odd, [CPU], AUTO);
  assert.ok(found.canTrain);
  assert.is(found.problems.length, 3);
});

test('CUDA: what is missing is what is said', () => {
  const missing: Try = { ...CPU, device: 'cuda', state: 'missing', problem: 'not installed' };
  const advice = (machine: Machine, cuda: Try): string => diagnose('x', machine, [CPU, cuda], AUTO).advice.join();
  assert.match(advice(MACHINE, missing), /a card and a driver of NVIDIA \(none is here\)/);
  assert.match(
    advice({ ...MACHINE, nvidia: '550.1' }, missing),
    /driver is here \(550\.1\); run: ONNXRUNTIME_NODE_INSTALL=cuda12/,
  );
  assert.match(advice({ ...MACHINE, nvidia: '550.1' }, { ...missing, state: 'fails' }), /do not start; check CUDA 12/);
  assert.is(advice(MACHINE, { ...missing, state: 'works', problem: null }), '');
});

test('addresses: private ones reach this network, loopback and those of one cable nobody', () => {
  const of = (...all: [address: string, internal?: boolean][]) =>
    addressesOf({
      eth0: all.map(([address, internal = false]) => ({ address, internal }) as never),
    });
  assert.equal(of(['127.0.0.1', true], ['169.254.3.4'], ['fe80::1']), []);
  const near = ['10.1.2.3', '172.20.0.1', '192.168.0.9', '100.64.0.1', 'fd00::2'];
  assert.ok(of(...near.map((each): [string] => [each])).every(({ reach }) => reach === 'this network'));
  const far = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2001:db8::1'];
  assert.ok(of(...far.map((each): [string] => [each])).every(({ reach }) => reach === 'anybody'));
});

test('a back end that aborts, prints nonsense, or computes something else ends in a line, not in the doctor', async () => {
  const program = join(temporaryFolder(), 'step.mjs');
  const answer = (x: number): string => {
    const gradient = Buffer.from(Float32Array.of(1, x).buffer).toString('base64');
    return JSON.stringify({ loss: 1, gradient, firstMs: 2, ms: 1, nodes: 3, fallen: {}, copiedBytes: 9, peakBytes: 4 });
  };
  writeFileSync(
    program,
    `const device = process.argv[3];
     if (device === 'cpu') console.log(${JSON.stringify(answer(1))});
     if (device === 'coreml') console.log(${JSON.stringify(answer(1.5))});
     if (device === 'dml') { console.error('note\\nfatal error: no device'); process.abort(); }`,
  );
  const tries = await tryDevices('x', ['coreml', 'dml', 'cpu'], { program });
  const by = Object.fromEntries(tries.map((each) => [each.device, each]));
  assert.equal(
    tries.map(({ device, state }) => [device, state]),
    [
      ['cpu', 'works'],
      ['coreml', 'wrong'],
      ['dml', 'fails'],
    ],
  );
  assert.match(by.coreml!.problem!, /its gradient is 3\.5e-1 off the CPU's/);
  assert.match(by.dml!.problem!, /its process (was ended by SIG|ended with code).*fatal error: no device/);
});

test('float16 is tried where float32 works, and what comes of it is its own line', async () => {
  const program = join(temporaryFolder(), 'step.mjs');
  const gradient = (x: number): string => Buffer.from(Float32Array.of(1, x).buffer).toString('base64');
  const answer = { loss: 1, firstMs: 2, ms: 1, nodes: 3, fallen: {}, keepsState: false, copiedBytes: 9, peakBytes: 4 };
  writeFileSync(
    program,
    `const [device, compute] = process.argv.slice(3);
     const off = { coreml: ${JSON.stringify(gradient(1.01))}, dml: ${JSON.stringify(gradient(2))} };
     if (device === 'cpu' && compute === 'f16') throw new Error('float16 on the CPU');
     const gradient = compute === 'f16' ? off[device] : ${JSON.stringify(gradient(1))};
     console.log(JSON.stringify({ ...${JSON.stringify(answer)}, gradient }));`,
  );
  const [cpu, coreml, dml] = await tryDevices('x', ['cpu', 'coreml', 'dml'], { program });
  assert.equal([cpu!.half, cpu!.state], [null, 'works']);
  assert.equal([coreml!.state, coreml!.half!.problem], ['works', null]);
  assert.ok(Math.abs(coreml!.half!.error! - 0.01 / Math.SQRT2) < 1e-4);
  assert.is(dml!.state, 'works', 'float32 works all the same');
  assert.match(dml!.half!.problem!, /its gradient is 7\.1e-1 off the CPU's; at most 0\.05 would do/);
});

test('the command: the CPU works and the exit code is 0; a cache that is a file ends with 3', async () => {
  const folder = temporaryFolder();
  const { code, out } = await startIn(folder, ['doctor', '--json']).done;
  const found = JSON.parse(out);
  assert.equal([code, found.canTrain, found.machine.network.problem], [0, true, null]);
  assert.ok(found.devices[0].ms > 0 && found.devices[0].nodes > 100);
  writeFileSync(join(folder, 'file'), '');
  const bad = await startIn(folder, ['doctor'], { LORIKEET_CACHE: join(folder, 'file') }).done;
  assert.is(bad.code, 3);
  assert.match(
    bad.out,
    /problem: .*file.lorikeet cannot be written[\s\S]*\nverdict: training cannot run here\nnext: LORIKEET_CACHE=FOLDER/,
  );
});

test.run();
