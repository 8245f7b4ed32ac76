/** @file Who is refused: what the user of this peer has said, in a file of its state, and what those have said who invited them. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import { codeOf, messageOf, UserError } from '../errors.ts';
import { publicKeyOf } from './identity.ts';

/** What the user says of an id; `tell`: the others are to hear of it. */
export interface Verdict {
  readonly verdict: 'ban' | 'allow';
  readonly tell: boolean;
}

export type Verdicts = Readonly<Record<string, Verdict>>;

/** Who refuses an id by name: 'you', or the id of who has said so and is not overruled; null: nobody. */
export function refuserOf(id: string, verdicts: Verdicts, told: ReadonlyMap<string, string>): string | null {
  if (verdicts[id]?.verdict === 'ban') return 'you';
  return verdicts[id]?.verdict === 'allow' ? null : (told.get(id) ?? null);
}

const FILE = 'bans.json';
/** More than anybody names by hand. */
const MAX_BYTES = 1_000_000;

/** What a state folder says. Throws a UserError where the file cannot be read as such. */
export function readVerdicts(folder: string): Verdicts {
  const path = join(folder, FILE);
  const broken = (why: string): UserError =>
    new UserError('storage', `${path}: ${why}; mend it, or remove it to refuse nobody`);
  try {
    if (statSync(path).size > MAX_BYTES) throw broken('too large to be a list of ids');
    const read: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof read !== 'object' || read === null || Array.isArray(read)) throw broken('not a list of ids');
    return Object.fromEntries(
      Object.entries(read).map(([id, said]) => {
        const verdict = (said as Partial<Verdict> | null)?.verdict;
        if (!publicKeyOf(id)) throw broken(`got ${JSON.stringify(id)}; wanted ids of peers, 12D3KooW...`);
        if (verdict !== 'ban' && verdict !== 'allow') throw broken(`${id}: wanted verdict ban or allow`);
        return [id, { verdict, tell: (said as Verdict).tell === true }];
      }),
    );
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (codeOf(error) === 'ENOENT') return {};
    throw broken(messageOf(error));
  }
}

/** Writes them beside a peer that may be at work, and hears of it. Throws what the system throws. */
export function writeVerdicts(folder: string, verdicts: Verdicts): Promise<void> {
  return writeFileAtomic(join(folder, FILE), `${JSON.stringify(verdicts, null, 2)}\n`);
}

/** Adds one. Throws a UserError where that is no id of a peer, or the file cannot be read. */
export async function addVerdict(folder: string, id: string, verdict: Verdict): Promise<void> {
  if (!publicKeyOf(id))
    throw new UserError(
      'usage',
      `peers ${verdict.verdict}: got ${JSON.stringify(id)}; wanted the id of a peer, 12D3KooW...`,
    );
  await writeVerdicts(folder, { ...readVerdicts(folder), [id]: verdict });
}

/** Tells `onChange` what the file says now and whenever it changes; `onTrouble` where it cannot be read. Gives what ends it. */
export function watchVerdicts(
  folder: string,
  {
    onChange,
    onTrouble,
    everyMs,
  }: { onChange: (now: Verdicts) => void; onTrouble: (why: string) => void; everyMs: number },
): () => void {
  let seen = '';
  const look = (): void => {
    const { mtimeMs = 0, ino = 0 } = statSync(join(folder, FILE), { throwIfNoEntry: false }) ?? {};
    const stamp = `${ino} ${mtimeMs}`;
    if (stamp === seen) return;
    seen = stamp;
    try {
      onChange(readVerdicts(folder));
    } catch (error) {
      onTrouble(messageOf(error)); // what it said before holds
    }
  };
  look();
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}
