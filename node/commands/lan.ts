/** @file Which run of this network somebody means who has no invite: asked on a terminal, or named. */
import { createInterface } from 'node:readline/promises';
import { isLoopback } from '../addresses.ts';
import { table } from '../display.ts';
import { UserError } from '../errors.ts';
import { counted } from '../figures.ts';
import { type Invite, readSecret } from '../invite.ts';
import type { Hello, Seen } from '../network/lan.ts';
import type { Participant } from '../participant.ts';
import type { Run } from '../train/run.ts';
import type { Flags } from './flags.ts';

const LISTEN_MS = 2000;
const SHORT_ID = 8;

/** Tells this network of a run that its machines can join; null where it is not to, or nobody could. */
export async function tellRun(
  flags: Flags,
  participant: Participant,
  { runId, settings }: Run,
  note: (line: string) => void,
): Promise<{ stop(): void } | null> {
  if (flags.lan === false || participant.addresses().every(isLoopback)) return null;
  const { tellLan } = await import('../network/lan.ts');
  const name = typeof flags.run === 'string' && !runId.startsWith(flags.run) ? flags.run : '';
  const hello = (): Hello => {
    const { members, round, rounds } = participant.view;
    const { id, port } = participant;
    return { id, runId, name, model: settings.base, members, round, rounds, isOpen: settings.founder === '', port };
  };
  return tellLan(hello, (why) => note(`machines of this network do not see the run by themselves: ${why}`));
}

/** Lists the runs that members tell of, and gives the one that is meant as an invite. Throws a UserError where there is none. */
export async function chooseOnLan(flags: Flags): Promise<Invite> {
  const { listLan } = await import('../network/lan.ts');
  const seen = await listLan(LISTEN_MS).catch((error: Error) => {
    throw new UserError('unreachable', `join: cannot ask around on this network (${error.message}); wanted an invite`);
  });
  if (seen.length === 0)
    throw new UserError(
      'unreachable',
      'join: no run is seen on this network, where members tell of it unless they began with --no-lan or on 127.0.0.1; wanted an invite, as "lorikeet up" prints it',
    );
  const run = typeof flags.run === 'string' ? named(seen, flags.run) : await ask(seen);
  const { addresses, runId, isOpen } = run;
  if (isOpen) return { addresses, runId, ticket: null };
  const secret = typeof flags.secret === 'string' ? flags.secret : await askSecret(run);
  return { addresses, runId, ticket: readSecret(secret, runId) };
}

/** The runs as a table, numbered. */
function listed(seen: readonly Seen[]): string {
  const rows = seen.map(({ name, members, model, round, rounds, isOpen, runId }, i) => [
    String(i + 1),
    name || '-',
    counted(members, 'member'),
    model,
    `round ${round} of ${rounds}`,
    isOpen ? 'open' : 'by invite',
    runId.slice(0, SHORT_ID),
  ]);
  return table([['', 'run', 'members', 'model', 'round', 'who may join', 'id'], ...rows], 'left').join('\n');
}

function named(seen: readonly Seen[], word: string): Seen {
  const found = seen.filter(({ name, runId }) => name === word || (word.length >= 4 && runId.startsWith(word)));
  if (found.length === 1) return found[0]!;
  const why = found.length === 0 ? 'no run of this network has that name or id' : `${found.length} runs have that name`;
  throw new UserError(
    'usage',
    `--run: got ${JSON.stringify(word)}; ${why}; wanted one of these by its id:\n${listed(seen)}`,
  );
}

const canAsk = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

async function ask(seen: readonly Seen[]): Promise<Seen> {
  if (!canAsk())
    throw new UserError(
      'usage',
      `join: wanted an invite, or --run with the name or id of one of these:\n${listed(seen)}`,
    );
  console.error(listed(seen));
  const word = await answerTo(`which one (1 to ${seen.length})? `);
  const run = seen[Number(word) - 1];
  if (run) return run;
  throw new UserError('usage', `join: got ${JSON.stringify(word)}; wanted a number from 1 to ${seen.length}`);
}

async function askSecret({ name, runId }: Seen): Promise<string> {
  const which = name || runId.slice(0, SHORT_ID);
  if (canAsk()) return answerTo(`${which} is joined by invite; paste one, or what stands after its dot: `);
  throw new UserError(
    'usage',
    `join: run ${which} is joined by invite; wanted --secret with one, or with what stands after its dot`,
  );
}

async function answerTo(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}
