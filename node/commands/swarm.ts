/** @file `lorikeet up --config` with several peers: each in a process of its own, shown together, ended together. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Command, Option } from 'commander';
import { createDisplay, type Display, table } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { bytesText, counted, percent } from '../figures.ts';
import { askedOptions, type Entry } from '../program/layers.ts';
import { tellReady } from './detach.ts';
import { type Flags, interruptSignal } from './flags.ts';

/** What a peer of the file is, and how it stands. */
interface Peer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  /** What it has told last of each kind. */
  readonly told: Map<string, Readonly<Record<string, unknown>>>;
}

/** The first peer is `up`, the others join it. Ends with the exit code of the first that does not end well. */
export async function swarm(entries: readonly Entry[], command: Command): Promise<void> {
  const flags = command.opts<Flags>();
  const names = entries.map(({ name, data }) => String(name ?? data));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UserError('usage', `${flags.config}: two peers are called ${twice}; wanted a name: for each`);
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping all peers; their states are kept'));
  const peers: Peer[] = [];
  const stop = (): void => {
    for (const { child } of peers) child.kill('SIGTERM');
  };
  interrupt.signal.addEventListener('abort', stop, { once: true });
  const { promise: invite, resolve: invited } = Promise.withResolvers<string | null>();
  const begin = (words: readonly string[], i: number): Peer =>
    launch([...words, '--json', '--follow'], names[i]!, display, (event) => {
      if (event.event === 'invite' && i === 0) invited(String(event.invite));
      display.live(peers.length > 0 ? peerTable(peers) : []);
    });
  try {
    display.note(`${counted(entries.length, 'peer')} of ${flags.config}: ${names.join(', ')}`);
    const common = askedOptions(command);
    const quorum = [...common.keys()].some(({ long }) => long === '--min-peers')
      ? []
      : ['--min-peers', `${entries.length}`];
    peers.push(begin(['up', ...wordsOf(common, entries[0]!, command), ...quorum], 0));
    const text = await Promise.race([invite, peers[0]!.ended.then(() => null)]);
    const join = command.parent!.commands.find((one) => one.name() === 'join')!;
    if (text !== null && tellReady({ state: null, invite: text })) display.mute();
    if (text !== null && !interrupt.signal.aborted)
      entries.slice(1).forEach((entry, i) => {
        peers.push(begin(['join', text, ...wordsOf(common, entry, join)], i + 1));
      });
    const codes = await Promise.all(peers.map(({ ended }) => ended));
    display.close();
    tell(flags, peers);
    process.exitCode = interrupt.signal.aborted ? EXIT.interrupted : (codes.find((code) => code !== 0) ?? EXIT.ok);
  } finally {
    stop();
    display.close();
    interrupt.dispose();
  }
}

/** The flags of one peer: what the file says for all, as far as its command takes it, and its own on top. */
function wordsOf(common: ReadonlyMap<Option, string | boolean>, entry: Entry, command: Command): string[] {
  const ofAll = [...common].map(([option, value]) => [option.attributeName(), value] as const);
  const isJoining = command.name() === 'join';
  const values: Readonly<Record<string, unknown>> = {
    ui: false,
    ...Object.fromEntries(ofAll.filter(([name]) => !isJoining || name !== 'base')),
    ...entry,
  };
  return command.options.flatMap((option) => {
    const value = values[option.attributeName()];
    if (value === undefined || ['--json', '--follow', '--config', '--detach'].includes(option.long ?? '')) return [];
    if (option.negate) return value === false ? [option.long!] : [];
    if (typeof value === 'boolean') return value ? [option.long!] : [];
    return [`${option.long}=${value}`];
  });
}

/** Starts a peer in a group of its own, so that Ctrl-C reaches it through this process alone, once. */
function launch(
  words: readonly string[],
  name: string,
  display: Display,
  onEvent: (event: Readonly<Record<string, unknown>>) => void,
): Peer {
  const { LORIKEET_CONFIG: _, LORIKEET_DETACH: __, ...env } = process.env;
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env,
  });
  const told: Peer['told'] = new Map();
  createInterface(child.stdout).on('line', (line) => {
    const event = JSON.parse(line) as Readonly<Record<string, unknown>>;
    told.set(String(event.event), event);
    onEvent(event);
  });
  createInterface(child.stderr).on('line', (line) => {
    if (!isRepeated(line, words[0] === 'join', display.isTerminal)) display.note(`${name}: ${line}`);
  });
  const ended = new Promise<number>((resolve) => {
    child.on('error', () => resolve(EXIT.bug)).on('close', (code) => resolve(code ?? EXIT.interrupted));
  });
  return { name, child, ended, told };
}

/** Invites are those of the first peer, and rounds stand in the table. */
function isRepeated(line: string, isJoining: boolean, isTabled: boolean): boolean {
  return (
    (isJoining && /^up to \d+ others? join|^ {2}lorikeet join /.test(line)) || (isTabled && /^round \d+ of /.test(line))
  );
}

function peerTable(peers: readonly Peer[]): string[] {
  const head = ['peer', 'round', 'members', 'mixed', 'loss', 'sent'];
  return table([head, ...peers.map(rowOf)]);
}

function rowOf({ name, told }: Peer): string[] {
  const [round, waiting] = [told.get('round'), told.get('waiting')];
  if (!round) return [name, waiting ? 'waiting' : 'starting', `${waiting?.members ?? '-'}`, '-', '-', '-'];
  const loss = typeof round.loss === 'number' ? round.loss.toFixed(3) : '-';
  const at = told.has('result') ? 'over' : `${round.round} of ${round.rounds}`;
  return [name, at, `${round.members}`, `${round.mixed}`, loss, bytesText(Number(round.sentBytes))];
}

/** What each has ended with. */
function tell(flags: Flags, peers: readonly Peer[]): void {
  const results = peers.map(({ name, told }): Result => {
    const { event: _, ...result } = told.get('result') ?? {};
    return { name, ...(told.has('result') ? result : { stoppedAt: told.get('round')?.round ?? null }) };
  });
  if (flags.json) return console.log(JSON.stringify({ peers: results }));
  const over = results.filter((result) => result.adapter !== undefined);
  if (over.length === 0) return;
  const head = ['peer', 'base', 'alone', 'swarm', "adapter, in PEFT's format"];
  console.log(table([head, ...over.map((one) => [one.name, ...scoresOf(one), `${one.adapter}`])], 'left').join('\n'));
}

type Scores = Readonly<Partial<Record<'base' | 'alone' | 'swarm', number | null>>> | null;

interface Result {
  readonly name: string;
  readonly adapter?: string;
  /** Where it had texts to test on; of writing the perplexity. */
  readonly accuracy?: Scores;
  readonly perplexity?: Scores;
}

function scoresOf({ accuracy, perplexity }: Result): string[] {
  return (['base', 'alone', 'swarm'] as const).map((name) =>
    accuracy ? percent(accuracy[name]) : (perplexity?.[name]?.toFixed(1) ?? '-'),
  );
}
