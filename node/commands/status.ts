/** @file `lorikeet status`: how the peer of a state folder stands, told by the peer itself where it is at work, else by what is kept. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askPeer } from '../control/client.ts';
import { createDisplay, table } from '../display.ts';
import { readResult } from '../export/result.ts';
import { counted, durationText } from '../figures.ts';
import { peekLock } from '../lock.ts';
import { peekStore } from '../store.ts';
import { runIdOf } from '../train/run.ts';
import type { Status } from './desk.ts';
import { type Flags, interruptSignal, stateFolder } from './flags.ts';
import { viewLines } from './view.ts';

const REFRESH_MS = 1000;

/** What there is to say of a state folder. */
type Told =
  | ({ readonly state: string; readonly isRunning: true } & Status)
  /** A process holds the state and does not answer: it reads or measures still, or has just left. */
  | {
      readonly state: string;
      readonly isRunning: true;
      readonly stage: 'starting or ending';
      readonly pid: number | null;
    }
  | ({ readonly state: string; readonly isRunning: false } & Kept);

/** What is kept of a peer that is not at work. */
interface Kept {
  readonly runId: string;
  readonly round: number;
  readonly rounds: number;
  readonly isOver: boolean;
  readonly mixedWith: Readonly<Record<string, number>>;
  /** Of the run's end, where texts were given to test on. */
  readonly scores: object | null;
  readonly adapter: string | null;
}

export async function status(flags: Flags): Promise<void> {
  const folder = stateFolder(flags.state);
  if (!flags.watch) {
    const told = await look(folder);
    console.log(flags.json ? JSON.stringify(told) : linesOf(told).join('\n'));
    return;
  }
  const interrupt = interruptSignal(() => {});
  const display = createDisplay(process.stdout);
  let last = '';
  try {
    while (!interrupt.signal.aborted) {
      const told = await look(folder);
      const lines = linesOf(told);
      const text = flags.json ? JSON.stringify(told) : lines.join('\n');
      if (display.isTerminal && !flags.json) display.live(lines);
      else if (text !== last) console.log(text);
      last = text;
      await sleep(REFRESH_MS, undefined, { signal: interrupt.signal }).catch(() => {});
    }
  } finally {
    display.close();
    interrupt.dispose();
  }
}

async function look(state: string): Promise<Told> {
  const told = (await askPeer(state, 'status')) as Status | null;
  if (told) return { state, isRunning: true, ...told };
  const holder = peekLock(join(state, 'lock'));
  if (holder) return { state, isRunning: true, stage: 'starting or ending', pid: holder.pid };
  return { state, isRunning: false, ...keptOf(state) };
}

function keptOf(folder: string): Kept {
  const { saved, snapshot } = peekStore(folder, console.error);
  const runId = runIdOf(saved.settings);
  const found = snapshot(runId);
  const adapter = join(folder, 'adapter');
  return {
    runId,
    round: found?.round ?? 0,
    rounds: saved.settings.rounds + saved.settings.closingRounds,
    isOver: found?.phase === 'finished',
    mixedWith: saved.mixedWith,
    scores: readResult(folder, runId)?.scores ?? null,
    adapter: existsSync(adapter) ? adapter : null,
  };
}

function linesOf(told: Told): string[] {
  const { state } = told;
  if (!told.isRunning) return keptLines(state, told);
  if (!('view' in told))
    return [`${state}: process ${told.pid ?? 'of another machine'} is starting or ending its peer`];
  const { view, stage, runId, pid, since, givesUpMs } = told;
  const nowMs = Date.now();
  const minutes = durationText((nowMs - Date.parse(since)) / 1000);
  const doing = { 'taking part': '', scoring: '; scoring the result', serving: '; serving those who come late' }[stage];
  return [
    ...table(
      [
        ['peer', `${view.name && `${view.name}, `}${view.id} of run ${runId}`],
        ['process', `${pid}, for ${minutes}${doing}`],
      ],
      'left',
    ),
    ...viewLines(view, { isVerbose: false, leftMs: null, nowMs, givesUpMs }),
  ];
}

function keptLines(state: string, { runId, round, rounds, isOver, mixedWith, adapter }: Kept): string[] {
  const company = counted(Object.keys(mixedWith).length, 'peer');
  return [
    `${state}: not at work; run ${runId} ${isOver ? 'is over' : `stopped at round ${round} of ${rounds}`}`,
    `mixed with ${company} so far`,
    ...(adapter ? [`the adapter, in PEFT's format: ${adapter}`] : []),
    ...(isOver ? [] : ['the command that started it goes on from there']),
  ];
}
