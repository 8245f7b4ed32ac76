/** @file Who a peer is and how others join it, said at its start and when there is more to say; and who cannot reach it. */
import { idIn, isLoopback, isPublic } from '../addresses.ts';
import type { Ticket } from '../admission/ticket.ts';
import { createContacts } from '../contacts.ts';
import type { Display } from '../display.ts';
import { counted } from '../figures.ts';
import { formatInvite } from '../invite.ts';
import { answers } from '../network/visits.ts';
import type { Participant } from '../participant.ts';

/** How long nobody may relay before that is said: it takes a moment to find somebody. */
const SHUT_MS = 5000;

export interface Crier {
  /** The invite as it is now. */
  invite(): string;
  /** Looks whether somebody new is there. */
  look(): void;
  /** Where others were seen to answer, to come back to. */
  others(): string[];
  stop(): void;
}

/** Says it, and later what is new; `host` is where the peer listens, `bootstrap` by whom it was invited. */
export function announce(
  display: Display,
  participant: Participant,
  context: {
    runId: string;
    ticket: Ticket | null;
    host: string;
    bootstrap: readonly string[];
    onInvite: (invite: string, addresses: readonly string[]) => void;
    now?: () => number;
  },
): Crier {
  const { runId, ticket, host, bootstrap, now = () => performance.now() } = context;
  const told = new Set<string | null>();
  // An invite for one that this peer came by lets in nobody else.
  const isUsed = ticket !== null && bootstrap.length > 0 && ticket.pass.uses === 1;
  const invite = (): void => {
    const addresses = contacts.addresses();
    const named = new Set(addresses.map(idIn));
    if ([...named].every((id) => told.has(id))) return;
    for (const id of named) told.add(id);
    const text = formatInvite({ addresses, runId, ticket });
    context.onInvite(text, addresses);
    if (isUsed) return;
    const whom = ticket ? `up to ${counted(ticket.pass.uses, 'other')} join` : 'others join';
    display.note(named.size > 1 ? `${whom} while one of ${named.size} peers is here:` : `${whom} with:`);
    display.note(`  lorikeet join ${text} --data FILE`);
  };
  const contacts = createContacts({
    own: participant.addresses,
    connected: participant.connected,
    answers: (...place) => answers(participant.network, ...place),
    onMore: invite,
  });
  const isHere = bootstrap.every(isLoopback) && participant.addresses().every(isLoopback);
  let [shutSince, said] = [Number.POSITIVE_INFINITY, 'open'];
  /** Says how others reach this peer where they cannot as they can others, and when that has changed. */
  const tellReach = (): void => {
    const { open, shut, relays } = participant.reach();
    const isShut = relays.length === 0 && shut.length > 0 && open.length === 0;
    shutSince = isShut ? Math.min(shutSince, now()) : Number.POSITIVE_INFINITY;
    const state = relays.length > 0 ? 'relayed' : isShut ? 'shut' : open.length > 0 ? 'open' : said;
    if (isHere || state === said || (isShut && now() - shutSince < SHUT_MS)) return;
    said = state;
    if (state !== 'open') display.note(closedText(shut, relays, participant.port));
  };
  const { id, view } = participant;
  const others = view.unlabelled > 0 ? `, ${view.unlabelled} without a label` : '';
  const texts = counted(view.labelled, view.objective === 'classify' ? 'labelled text' : 'text');
  display.note(`peer ${id}, run ${runId}, ${texts}${others}`);
  invite();
  if (isUsed) display.note('the invite of this peer was for one; "lorikeet invite" makes another');
  const hint = lonelyText({ addresses: participant.addresses(), host, bootstrap });
  if (hint) display.note(hint);
  return {
    invite: () => formatInvite({ addresses: contacts.addresses(), runId, ticket }),
    others: contacts.others,
    look: () => {
      contacts.look();
      tellReach();
    },
    stop: contacts.stop,
  };
}

function closedText(shut: readonly string[], relays: readonly string[], port: number): string {
  const whom = shut[0] ?? 'others';
  const how =
    relays.length > 0
      ? `others reach it by way of ${relays.join(' and ')}`
      : 'nobody relays for it, so it goes on with the connections it opens itself';
  return `${whom} cannot connect to this peer: a firewall or a router stands before its port ${port}; ${how}; let TCP port ${port} in (--port keeps the number) so that others find it`;
}

/** What there is to say where no other machine can reach this peer; null where one can, or all are on this machine. */
export function lonelyText(where: {
  addresses: readonly string[];
  host: string;
  bootstrap: readonly string[];
}): string | null {
  const { addresses, host, bootstrap } = where;
  const isInvited = bootstrap.length > 0;
  if (addresses.some(isPublic) || (isInvited && bootstrap.every(isLoopback))) return null;
  const isNarrow = isLoopback(`/ip${host.includes(':') ? 6 : 4}/${host}/`);
  const why = isNarrow ? `it listens on ${host} only` : 'this machine has no address that others could use';
  const next = isNarrow ? '--host 0.0.0.0 lets them in' : 'connect it to a network';
  return isInvited
    ? `no other machine can connect to this peer, since ${why}; it mixes with those it reaches itself; ${next}`
    : `no other machine can join, since ${why}; ${next}`;
}
