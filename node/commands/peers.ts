/** @file `lorikeet peers`: who belongs to a closed run, as a state folder knows it; and whom its peer refuses. */
import { addVerdict, readVerdicts, refuserOf, type Verdict } from '../admission/bans.ts';
import { chainInText, idsOf } from '../admission/chain.ts';
import { askPeer } from '../control/client.ts';
import { table } from '../display.ts';
import { type Way, wayText } from '../network/ways.ts';
import { peekMembers, peekStore } from '../store.ts';
import { runIdOf } from '../train/run.ts';
import type { Status } from './desk.ts';
import { type Flags, stateFolder } from './flags.ts';

/** What is known of a peer. */
interface Row {
  readonly id: string;
  /** What it calls itself; null where no peer is at work here that could say, or it does not. */
  readonly name: string | null;
  /** Who has invited it; null: nobody, or the run is open. */
  readonly invitedBy: string | null;
  readonly place: number | null;
  readonly rounds: number;
  /** Who refuses it: 'you', or an id; null: nobody. */
  readonly refusedBy: string | null;
  /** Null where no peer is at work here that could say. */
  readonly isConnected: boolean | null;
  /** How it is connected; null: it is not, or nobody could say. */
  readonly way: Way | null;
}

export async function peers(flags: Flags): Promise<void> {
  const folder = stateFolder(flags.state);
  const told = (await askPeer(folder, 'status')) as Status | null;
  const rows = rowsOf(folder, told);
  if (flags.json) return console.log(JSON.stringify({ peers: rows }));
  const head = ['peer', 'name', 'connected', 'invited by', 'place', 'rounds mixed', 'refused'];
  const cells = rows.map(({ id, name, isConnected, way, invitedBy, place, rounds, refusedBy }) => [
    id,
    name ?? '-',
    isConnected === null ? '-' : isConnected ? (way ? wayText(way, told?.view.names ?? {}) : 'yes') : 'no',
    invitedBy ?? '-',
    place === null ? '-' : String(place),
    String(rounds),
    refusedBy === null ? '' : `by ${refusedBy}`,
  ]);
  console.log(rows.length === 0 ? 'nobody has been met yet' : table([head, ...cells], 'left').join('\n'));
}

/** `told`: by the peer at work, if one is. */
function rowsOf(folder: string, told: Status | null = null): Row[] {
  const { saved } = peekStore(folder);
  const { settings } = saved;
  const mixedWith = told?.view.mixedWith ?? saved.mixedWith;
  const connected = told?.connected.map(({ id }) => id) ?? [];
  const kept = peekMembers(folder);
  const isOfRun = kept?.runId === runIdOf(settings);
  const proofs = isOfRun ? kept.proofs : {};
  const bans = new Map(isOfRun ? Object.entries(kept.told) : []);
  const verdicts = readVerdicts(folder);
  const ids = new Set([
    ...Object.keys(proofs),
    ...Object.keys(mixedWith),
    ...Object.keys(verdicts),
    ...bans.keys(),
    ...connected,
  ]);
  return [...ids].sort().map((id) => {
    const chain = chainInText(proofs[id] ?? '') ?? [];
    const last = chain.at(-1);
    const lineage = idsOf(settings.founder, chain);
    const refusers = [...lineage, id].flatMap((one) => refuserOf(one, verdicts, bans) ?? []);
    return {
      id,
      name: told?.view.names[id] ?? null,
      invitedBy: last ? lineage.at(-2)! : null,
      place: last?.place ?? null,
      rounds: mixedWith[id] ?? 0,
      refusedBy: refusers.includes('you') ? 'you' : (refusers[0] ?? null),
      isConnected: told && connected.includes(id),
      way: told?.view.ways.find((one) => one.id === id) ?? null,
    };
  });
}

/** Refuses an id and whomever it has invited, or lets it in again; a peer that is at work hears of it within a second. */
export async function judge(verdict: Verdict['verdict'], id: string, flags: Flags): Promise<void> {
  const folder = stateFolder(flags.state);
  peekStore(folder);
  await addVerdict(folder, id, { verdict, tell: flags.tell === true });
  const guests = rowsOf(folder).filter((row) => row.id !== id && row.refusedBy !== null && row.invitedBy === id).length;
  const others = flags.tell ? '; the others are told, and those it was invited by or with decide for themselves' : '';
  console.log(
    verdict === 'ban'
      ? `${id} is refused from now on, and whomever it has invited${guests > 0 ? ` (${guests} so far)` : ''}${others}`
      : `${id} is let in again`,
  );
}
