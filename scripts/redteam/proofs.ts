/** @file Proofs that are none, or not any more: of another hand, altered, of another run, expired, of a place taken, banned. */
import { setTimeout as sleep } from 'node:timers/promises';
import { writeVerdicts } from '../../node/admission/bans.ts';
import { type Chain, decodeChain, encodeChain } from '../../node/admission/chain.ts';
import { generateKey } from '../../node/admission/identity.ts';
import { issueTicket, type Ticket, takePlace } from '../../node/admission/ticket.ts';
import { type Attack, type Done, PLACES, SILENCE, type Target } from './attack.ts';
import { announcing, call, rpc } from './caller.ts';
import { aborted, here } from './crowd.ts';
import { guests, makeUp, type Name, openInvite } from './names.ts';

/** Between two rounds of knocking, and how long one that is let in stays. */
const [KNOCK_MS, STAY_MS] = [500, 100];

/** A ticket that whoever has this key gives out, as one who belongs by that chain. */
function issue(runId: string, key: Uint8Array, chain: Chain): Ticket {
  return issueTicket({ runId, key, chain, uses: PLACES, expires: 0 });
}

type Forge = (target: Target, first: Name) => Promise<(id: string) => Uint8Array>;

/** What is shown in the place of a proof; `first` is somebody who belongs. */
const FORGERIES: Readonly<Record<string, Forge>> = {
  'an invite that no member signed': async (target) => {
    const { runId } = openInvite(target);
    const ticket = issue(runId, await generateKey(), []);
    return (id) => encodeChain(takePlace(ticket, runId, id, 0));
  },
  'a signature altered': async (target) => {
    const { ticket, runId } = openInvite(target);
    return (id) => {
      const proof = encodeChain(takePlace(ticket!, runId, id, 1));
      return proof.map((byte, i) => (i === proof.length - 40 ? byte ^ 1 : byte));
    };
  },
  "somebody else's proof": async (_target, first) => () => first.proof,
  'an admission of another run': async (target) => {
    const { ticket } = openInvite(target);
    return (id) => encodeChain(takePlace(ticket!, 'f'.repeat(32), id, 1));
  },
  'a place that the invite does not have': async (target) => {
    const { ticket, runId } = openInvite(target);
    return (id) => encodeChain(takePlace(ticket!, runId, id, PLACES));
  },
  'no chain at all': async () => () => Uint8Array.from({ length: 300 }, (_, i) => i),
};

export const PROOFS: Readonly<Record<string, Attack>> = {
  forged: {
    about: Object.keys(FORGERIES).join(', '),
    bars: { ...SILENCE, codes: ['not-admitted'], refusedMs: 10_000 },
    run: async (target, signal, begin) => {
      const [first] = await guests(target, 1);
      const names = await Promise.all(
        Object.values(FORGERIES).map(async (forge) => (await makeUp(1, await forge(target, first!)))[0]!),
      );
      begin();
      const good = await knock(target, [first!], signal);
      return again(names, target, signal, `a good one was let in ${good} times`);
    },
  },
  expired: {
    about: 'somebody new by an invite that has expired',
    bars: { ...SILENCE, codes: ['invite-expired'], refusedMs: 10_000 },
    run: async (target, signal, begin) => {
      const { ticket, runId } = openInvite({ invite: target.expired });
      const names = await makeUp(3, (id, i) => encodeChain(takePlace(ticket!, runId, id, i)));
      begin();
      return again(names, target, signal);
    },
  },
  'one-place': {
    about: 'nine ids for one place of an invite',
    bars: { ...SILENCE, codes: ['place-taken'], refusedMs: 10_000 },
    run: async (target, signal, begin) => {
      const { ticket, runId } = openInvite(target);
      const [first, ...others] = await makeUp(9, (id) => encodeChain(takePlace(ticket!, runId, id, 0)));
      begin();
      const good = await knock(target, [first!], signal);
      return again(others, target, signal, `the first was let in ${good} times`);
    },
  },
  banned: {
    about: 'one that the honest have banned, and those it has invited',
    bars: { ...SILENCE, codes: ['banned'], refusedMs: 10_000 },
    run: async (target, signal, begin) => {
      const { runId } = openInvite(target);
      const [first] = await guests(target, 1);
      const ticket = issue(runId, first!.key, decodeChain(first!.proof)!);
      const invited = await makeUp(4, (id, i) => encodeChain(takePlace(ticket, runId, id, i)));
      const names = [first!, ...invited.slice(0, 2)]; // two of four come only then
      const good = await knock(target, names, signal);
      for (const folder of target.folders)
        await writeVerdicts(folder, { [first!.id]: { verdict: 'ban', tell: false } }); // as `lorikeet peers ban` does
      await sleep(2000); // within which the honest read what their users have said
      begin();
      return again([first!, ...invited], target, signal, `before the ban they were let in ${good} times`);
    },
  },
};

/** Goes to every honest peer under each name, shows its proof and announces itself; gives how often that was let in. */
async function knock(target: Target, names: readonly Name[], signal: AbortSignal): Promise<number> {
  const visit = async (address: string, name: Name): Promise<boolean> => {
    const caller = await call(target, address, name, signal).catch(() => null);
    if (!caller) return false;
    async function* once() {
      yield rpc({ messages: [announcing(name, target.runId, here(0))] });
      await Promise.race([sleep(STAY_MS), aborted(signal)]);
    }
    await caller.gossip(once()).catch(() => {});
    await caller.stop().catch(() => {});
    return caller.reply?.code === null;
  };
  let letIn = 0;
  for (const name of names) {
    if (signal.aborted) break;
    const visits = await Promise.all(target.addresses.map((address) => visit(address, name)));
    letIn += visits.filter(Boolean).length;
  }
  return letIn;
}

/** Knocks until the signal; whoever is let in, though it must not be, is told of. */
async function again(names: readonly Name[], target: Target, signal: AbortSignal, beside = ''): Promise<Done> {
  let [times, letIn] = [0, 0];
  while (!signal.aborted) {
    letIn += await knock(target, names, signal);
    times += 1;
    await sleep(KNOCK_MS, undefined, { signal }).catch(() => {});
  }
  const text = `${names.length} names knocked ${times} times at each door and were let in ${letIn} times`;
  return { text: beside ? `${text}; ${beside}` : text, letIn };
}
