/** @file What the doctor found, in words: a line a finding, the verdict, and the command to go on with. */
import { table } from '../display.ts';
import { bytesText, counted } from '../figures.ts';
import type { Machine } from './machine.ts';
import type { Try } from './tries.ts';

export interface Diagnosis {
  readonly base: string;
  readonly machine: Machine;
  readonly devices: readonly Try[];
  /** Whether training can run here. */
  readonly canTrain: boolean;
  /** What stands in the way, and what does not but should be known. */
  readonly problems: readonly string[];
  readonly advice: readonly string[];
  /** The device `--device auto` would take. */
  readonly device: string | null;
  /** The command to go on with. */
  readonly next: string;
}

/** Room that weights in float32 and graphs need on the disk of the cache, beside what a base takes. */
const SPARE_DISK_BYTES = 256e6;
/** Below this a process that trains even the bundled base may be ended by the system. */
const LEAST_MEMORY_BYTES = 512e6;

/** Draws the conclusions. `auto` is the order in which devices are chosen. */
export function diagnose(base: string, machine: Machine, devices: readonly Try[], auto: readonly string[]): Diagnosis {
  const { disks, network, clock, memory } = machine;
  const device = auto.find((name) => devices.some((each) => each.device === name && each.state === 'works')) ?? null;
  const chosen = auto.find((name) => devices.some((each) => each.device === name && each.state === 'wrong')) ?? null;
  const bad = disks.filter(({ problem }) => problem !== null);
  const cpu = devices.find((each) => each.device === 'cpu');
  const problems = [
    ...(device === null ? [`no back end can train: ${cpu?.problem ?? 'none was found'}`] : []),
    ...bad.map(({ path, problem }) => `${path} cannot be written (${problem})`),
    ...disks
      .filter(({ use, free }) => use === 'cache' && free !== null && free < SPARE_DISK_BYTES)
      .map(({ path, free }) => `${path} has ${bytesText(free!)} free; ${bytesText(SPARE_DISK_BYTES)} is little enough`),
    ...(memory.usable < LEAST_MEMORY_BYTES ? [`${bytesText(memory.usable)} of memory is left`] : []),
    ...(clock.isSane ? [] : [`the clock says ${clock.now}: certificates and the deadlines of a run depend on it`]),
  ];
  const canTrain = device !== null && !bad.some(({ use }) => use === 'cache');
  const advice = [
    ...(network.problem === null ? [] : [`${network.problem}: without one a peer can train, but nobody can join it`]),
    ...(chosen === null ? [] : [`give --device cpu: ${chosen} computes something else here`]),
    ...cudaAdvice(machine, devices),
  ];
  return { base, machine, devices, canTrain, problems, advice, device, next: nextStep(base, canTrain, bad, chosen) };
}

function cudaAdvice({ nvidia, versions }: Machine, devices: readonly Try[]): string[] {
  const cuda = devices.find(({ device }) => device === 'cuda');
  if (!cuda || cuda.state === 'works' || !versions.platform.startsWith('linux')) return [];
  const install = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';
  const needs = 'CUDA 12 and cuDNN 9 on the library path';
  if (nvidia === null) return [`for CUDA: a card and a driver of NVIDIA (none is here), ${needs}, then: ${install}`];
  if (cuda.state === 'missing')
    return [`for CUDA: NVIDIA's driver is here (${nvidia}); run: ${install}; it needs ${needs}`];
  return [`for CUDA: its libraries are here and do not start; check ${needs}`];
}

function nextStep(base: string, canTrain: boolean, bad: Machine['disks'], chosen: string | null): string {
  if (bad.some(({ use }) => use === 'cache')) return 'LORIKEET_CACHE=FOLDER lorikeet doctor';
  if (!canTrain) return 'npm rebuild onnxruntime-node';
  const options = [...(base === 'lorikeet-mini' ? [] : ['--base', base]), ...(chosen ? ['--device cpu'] : [])];
  return base === 'lorikeet-mini'
    ? ['lorikeet demo', ...options].join(' ')
    : ['lorikeet up --data YOURS.csv', ...options].join(' ');
}

const STAY = 'stay on it between the steps of a round';
const PASS = "pass through the processor's memory at every step";

/** The report as lines. */
export function reportLines(found: Diagnosis): string[] {
  const { machine, devices, problems, advice, canTrain, device, next } = found;
  const { versions, cpu, memory, disks, network, clock } = machine;
  const rows = [
    [
      'lorikeet',
      `${versions.lorikeet}, Node ${versions.node}, onnxruntime ${versions.onnxruntime}, ${versions.platform}`,
    ],
    ['processor', `${cpu.name || 'unknown'}, ${counted(cpu.cores, 'core')}`],
    ['memory', memoryText(memory)],
    ...disks.map(({ use, path, free }) => [
      use === 'cache' ? 'cache' : 'this folder',
      `${path}${free === null ? '' : `, ${bytesText(free)} free`}`,
    ]),
    ['ports', network.problem ?? `can listen; ${reachText(network)}`],
    ['clock', `${clock.now}${clock.isSane ? '; how far it is off cannot be told without a network' : ''}`],
  ];
  return [
    ...table(rows, 'left'),
    '',
    `a tiny training step of ${found.base}:`,
    ...table([DEVICE_COLUMNS, ...devices.map(deviceRow)], 'left').map((line) => `  ${line}`),
    ...devices.flatMap(({ device: name, problem }) => (problem === null ? [] : [`  ${name}: ${problem}`])),
    ...devices.flatMap(({ device: name, half }) =>
      half?.problem ? [`  ${name}: --compute f16: ${half.problem}`] : [],
    ),
    ...devices
      .filter(({ device: name, keepsState }) => name !== 'cpu' && keepsState !== null)
      .map(({ device: name, keepsState }) => `  ${name}: adapter and moments ${keepsState ? STAY : PASS}`),
    '',
    ...problems.map((problem) => `problem: ${problem}`),
    ...advice,
    canTrain
      ? `verdict: training runs here, on the ${device!.toUpperCase()}${problems.length > 0 ? ', with what is said above' : ''}`
      : 'verdict: training cannot run here',
    `next: ${next}`,
  ];
}

function memoryText({ total, limit, usable }: Machine['memory']): string {
  return `${bytesText(usable)} usable of ${bytesText(total)}${limit === null ? '' : `; this container may take ${bytesText(limit)}`}`;
}

function reachText({ addresses }: Machine['network']): string {
  if (addresses.length === 0) return 'no address that others could reach: only peers on this machine';
  const by = (reach: string): string[] =>
    addresses.filter((each) => each.reach === reach).map(({ address }) => address);
  const [anybody, near] = [by('anybody'), by('this network')];
  const parts = [
    ...(anybody.length > 0 ? [`anybody could reach ${anybody.slice(0, 4).join(', ')}`] : []),
    ...(near.length > 0 ? [`this network could reach ${near.slice(0, 4).join(', ')}`] : []),
  ];
  return `${parts.join('; ')}, unless a firewall stands between`;
}

const DEVICE_COLUMNS = ['device', 'state', 'step', 'first', 'error', 'f16', 'copied a step', 'nodes on the CPU'];

function deviceRow({ device, state, ms, firstMs, error, half, copiedBytes, nodes, fallen }: Try): string[] {
  const ops = Object.entries(fallen).sort((a, b) => b[1] - a[1]);
  const count = ops.reduce((sum, [, n]) => sum + n, 0);
  const kinds = ops.slice(0, 5).map(([op, n]) => `${op} ${n}`);
  const on =
    nodes === null || device === 'cpu'
      ? '-'
      : count === 0
        ? `0 of ${nodes}`
        : `${count} of ${nodes}: ${kinds.join(', ')}`;
  const time = (x: number | null): string => (x === null ? '-' : `${x < 10 ? x.toFixed(1) : x.toFixed(0)} ms`);
  const off = (x: number | null): string => (x === null ? '-' : x.toExponential(1));
  const inHalf = half === null ? '-' : half.problem === null ? `${time(half.ms)}, ${off(half.error)}` : 'no';
  const copied = copiedBytes === null || device === 'cpu' ? '-' : bytesText(copiedBytes);
  return [device, state, time(ms), time(firstMs), off(error), inHalf, copied, on];
}
