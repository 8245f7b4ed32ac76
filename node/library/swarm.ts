/** @file Begins or joins a run for a program: what `lorikeet up` and `lorikeet join` do, without a terminal. */
import { hostBeside, idIn, mergeAddresses } from '../addresses.ts';
import { generateKey, ownIdOf } from '../admission/identity.ts';
import { basePath } from '../checkpoint/places.ts';
import { joinRun } from '../entry/arrive.ts';
import { beginRun, type StateFolder, stateIn } from '../entry/begin.ts';
import { UserError } from '../errors.ts';
import { parseInvite } from '../invite.ts';
import { fetchRun, fetchStart } from '../network/visits.ts';
import { peekKey } from '../store.ts';
import { checkSettings } from '../train/run.ts';
import { bringAlong, type CreateOptions, type JoinOptions, type PeerOptions } from './options.ts';
import { type Swarm, takePart, whenAborted } from './part.ts';
import { createResources, type Resources } from './resources.ts';

/**
 * Begins a run, or goes on with the one that the state holds. Throws a UserError, whose `mistake` says of what kind, or what the
 * signal is aborted with.
 */
export function createSwarm(options: CreateOptions = {}): Promise<Swarm> {
  return entering(options, async (state, resources) => {
    const given = { ...bringAlong(options), ...options.settings };
    if (given.base !== undefined) basePath(given.base);
    const key = peekKey(state.folder, resources.note) ?? (await generateKey());
    const beginning = await beginRun(state, {
      wanted: given,
      from: options.from ?? null,
      note: resources.note,
      founder: options.open ? '' : ownIdOf(key, state.folder),
      check: (all) => checkSettings(all, 'createSwarm'),
    });
    const bootstrap = beginning.isBack ? (state.saved?.bootstrap ?? []) : [];
    return takePart(options, { ...beginning, state, resources, key, ticket: null, bootstrap, inviters: [] });
  });
}

/** Takes part in the run of an invite. Throws as createSwarm does, also where nobody answers or the base is not on this machine. */
export function joinSwarm(invite: string, options: JoinOptions = {}): Promise<Swarm> {
  return entering(options, async (state, resources) => {
    const { labelPrior: _, rule, codec } = bringAlong(options);
    const parsed = parseInvite(invite);
    const visits = options.transport ?? { fetchRun, fetchStart };
    const beginning = await joinRun(parsed, state, {
      ...{ given: { ...options.settings }, visits, note: resources.note },
      provide: async (base) => void basePath(base),
      onProgress: () => {},
    });
    const { settings } = beginning.run;
    for (const [name, own] of Object.entries({ rule, codec }))
      if (own !== undefined && settings[name as 'rule' | 'codec'] !== own)
        throw new UserError('incompatible', `joinSwarm: the run's ${name} is ${settings[name as 'rule']}, not ${own}`);
    const { addresses, ticket } = parsed;
    return takePart(
      { host: hostBeside(addresses), ...options },
      {
        ...{ ...beginning, state, resources, key: null, ticket },
        bootstrap: mergeAddresses(addresses, beginning.isBack ? (state.saved?.bootstrap ?? []) : []),
        inviters: addresses.slice(0, 1).flatMap((address) => idIn(address) ?? []),
      },
    );
  });
}

/** Opens the state folder; what was begun is given back where something goes wrong. */
async function entering(
  options: PeerOptions,
  enter: (state: StateFolder, resources: Resources) => Promise<Swarm>,
): Promise<Swarm> {
  options.signal?.throwIfAborted();
  if (options.data === undefined && !options.trainer)
    throw new UserError('usage', 'data: left out; wanted a path or rows, or a trainer of your own');
  const resources = createResources(options.state);
  const begun = (async () => enter(stateIn(resources.folder), resources))();
  try {
    return await (options.signal ? Promise.race([begun, whenAborted(options.signal)]) : begun);
  } catch (error) {
    // Where only the signal is why, what is under way ends by itself, and gives back what it has.
    const released = begun.then((swarm) => swarm.stop(), resources.release);
    if (!options.signal?.aborted) await released;
    else released.catch(() => {});
    options.signal?.throwIfAborted();
    throw error;
  }
}
