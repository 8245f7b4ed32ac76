/** @file `lorikeet invite`: another invite to a closed run, signed by the peer of a state folder, which may be at work. */
import { chainInText, MAX_LINKS, MAX_USES } from '../admission/chain.ts';
import { ownIdOf } from '../admission/identity.ts';
import { keptNetwork } from '../admission/membership.ts';
import { issueTicket } from '../admission/ticket.ts';
import { UserError } from '../errors.ts';
import { formatInvite } from '../invite.ts';
import { qrColumns, qrLines } from '../qr.ts';
import { peekKey, peekMembers, peekStore } from '../store.ts';
import { runIdOf } from '../train/run.ts';
import { type Flags, integerFlag, stateFolder } from './flags.ts';

const UNITS_S: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 };

export function invite(flags: Flags): void {
  const uses = integerFlag(flags, 'uses', 1, MAX_USES);
  const expires = expiryOf(String(flags.expires));
  const folder = stateFolder(flags.state);
  const { saved } = peekStore(folder);
  const { founder } = saved.settings;
  const runId = runIdOf(saved.settings);
  const key = peekKey(folder, console.error);
  if (!key || saved.invited.length === 0)
    throw new UserError('usage', `${folder}: this peer has not been at work yet; start it, then invite others`);
  const addresses = saved.invited;
  if (founder === '') {
    console.error('the run is open: this invite admits anybody, for ever');
    return print({ invite: formatInvite({ addresses, runId, ticket: null }), runId, uses: null, expires: null }, flags);
  }
  const isFirst = ownIdOf(key, folder) === founder;
  const chain = isFirst ? [] : ownChain(folder, runId);
  if (chain.length >= MAX_LINKS)
    throw new UserError(
      'incompatible',
      `${folder}: this peer came by the ${chain.length}rd invite in a row, and a run has no more in one; pass on the invite you came by, or ask who gave it for another`,
    );
  const network = isFirst ? {} : { network: keptNetwork(peekMembers(folder)) };
  const ticket = issueTicket({ runId, key, chain, uses, expires, ...network });
  const until = expires === 0 ? 'for ever' : `until ${new Date(expires * 1000).toISOString().slice(0, 16)}Z`;
  console.error(`admits ${uses === 1 ? 'one peer' : `${uses} peers`}, ${until}; whoever has it can use it:`);
  const told = { runId, uses, expires: expires === 0 ? null : new Date(expires * 1000).toISOString() };
  print({ invite: formatInvite({ addresses, runId, ticket }), ...told }, flags);
}

/** What an invite is; `uses` and `expires` are null where there is no bound. */
interface Told {
  readonly invite: string;
  readonly runId: string;
  readonly uses: number | null;
  readonly expires: string | null;
}

/** The invite on stdout, and as a QR code beside it where that was asked for. */
function print(told: Told, flags: Flags): void {
  const { invite } = told;
  console.log(flags.json ? JSON.stringify(told) : invite);
  if (!flags.qr) return;
  const columns = process.stderr.isTTY ? process.stderr.columns : 0;
  const lines = qrLines(invite, columns);
  if (lines) console.error(lines.join('\n'));
  else console.error(`the QR code needs ${qrColumns(invite)} columns of a terminal; here are ${columns}`);
}

/** How the peer of a state folder came to the run. */
function ownChain(folder: string, runId: string) {
  const kept = peekMembers(folder);
  const chain = kept?.runId === runId ? chainInText(kept.own) : null;
  if (chain) return chain;
  throw new UserError(
    'incompatible',
    `${folder}: does not say how this peer came to run ${runId}; join it again first`,
  );
}

/** When an invite of such a duration expires (s since 1970); 0: never. */
function expiryOf(text: string): number {
  if (text === 'never') return 0;
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? [];
  if (count === '')
    throw new UserError(
      'usage',
      `--expires: got ${JSON.stringify(text)}; wanted a duration such as 30m, 12h or 7d, or never`,
    );
  return Math.floor(Date.now() / 1000) + Number(count) * UNITS_S[unit]!;
}
