/** @file What a peer at work tells and does for who asks over its control socket, and what it writes into its log. */
import type { Acquaintance } from '../../protocol/frame.ts';
import { openLog } from '../control/log.ts';
import type { Request } from '../control/messages.ts';
import { type Control, openControl } from '../control/server.ts';
import type { Display } from '../display.ts';
import { messageOf } from '../errors.ts';
import { packageVersion } from '../package.ts';
import type { Participant } from '../participant.ts';
import type { ParticipantView } from '../participant-view.ts';

/** What a process is at, for its peer. */
export type Stage = 'taking part' | 'scoring' | 'serving';

/** What `lorikeet status` is told. */
export interface Status {
  readonly version: string;
  readonly pid: number;
  /** When the process began, as ISO 8601 has it. */
  readonly since: string;
  readonly stage: Stage;
  readonly runId: string;
  readonly addresses: readonly string[];
  readonly connected: readonly Acquaintance[];
  readonly receivedBytes: number;
  /** When it gives up waiting for its first company (ms since 1970); null: not at all. */
  readonly givesUpMs: number | null;
  readonly view: ParticipantView;
}

/** Refusals change with every message of a flood: between two lines on them. */
const REFUSED_PAUSE_MS = 60_000;

export interface Desk {
  /** Writes down what has happened. */
  record(event: string, facts?: Readonly<Record<string, unknown>>): void;
  /** Aborts when somebody asks the peer to leave. */
  readonly leaving: AbortSignal;
  stage(now: Stage): void;
  stop(): void;
}

/** Opens the desk of a peer. Where no socket can be had the peer goes on without, and says so. */
export async function openDesk(
  participant: Participant,
  context: {
    readonly folder: string;
    readonly runId: string;
    readonly display: Display;
    readonly invite: () => string | null;
    readonly givesUpMs: () => number | null;
  },
): Promise<Desk> {
  const { folder, runId, display, invite, givesUpMs } = context;
  const leaving = new AbortController();
  const log = openLog(folder, display.note);
  let refusedAt = Number.NEGATIVE_INFINITY;
  let stage: Stage = 'taking part';
  const since = new Date(performance.timeOrigin).toISOString();
  const status = (): Status => {
    const { view, traffic } = participant;
    return {
      ...{ version: packageVersion(), pid: process.pid, since, stage, runId },
      ...{ addresses: participant.addresses(), connected: participant.connected() },
      givesUpMs: givesUpMs(),
      ...{ receivedBytes: traffic.receivedBytes, view },
    };
  };
  const say = (event: string, line: string): void => {
    log.write(event);
    display.note(line);
  };
  const answer = (request: Request): unknown => {
    switch (request) {
      case 'status':
        return status();
      case 'invite':
        return invite();
      case 'pause':
        if (!participant.view.isHeld) say('paused', 'paused: "lorikeet resume" goes on');
        participant.hold();
        return status();
      case 'resume':
        if (participant.view.isHeld) say('resumed', 'resumed');
        participant.release();
        return status();
      case 'leave':
        leaving.abort();
        return status();
    }
  };
  let control: Control | null = null;
  try {
    control = await openControl(folder, answer);
  } catch (error) {
    display.note(`no control socket (${messageOf(error)}): status, pause, resume and leave do not reach this peer`);
  }
  return {
    record: (event, facts) => {
      if (event === 'refused' && performance.now() - refusedAt < REFUSED_PAUSE_MS) return;
      if (event === 'refused') refusedAt = performance.now();
      log.write(event, facts);
    },
    leaving: leaving.signal,
    stage: (now) => {
      stage = now;
    },
    stop: () => control?.stop(),
  };
}
