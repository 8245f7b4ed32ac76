/** @file An inviter that lies to who joins: about where the base lies, and about the settings of the run. */

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createBook } from '../../node/admission/book.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { createHost } from '../../node/host.ts';
import { formatInvite } from '../../node/invite.ts';
import { checkSettings, openRun, runIdOf } from '../../node/train/run.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { begin, hasRun, settingsIn } from './files.ts';
import { type Local, lorikeet, type Ran, refusalProblems } from './local.ts';
import { HEEDLESS } from './puppet.ts';

const DESCRIBED_BYTES = 60_000;

export const INVITERS: Readonly<Record<string, Local>> = {
  'path-base': {
    about:
      'an inviter names as the base a path of the machine of who joins: a secret, an endless file, a pipe, a folder',
    run: async (folder, isShort) => {
      mkdirSync(folder, { recursive: true });
      const pipe = join(folder, 'pipe');
      spawnSync('mkfifo', [pipe]);
      const all = [pipe, '/dev/zero', '/etc/passwd', '/proc/self', join(folder, '..'), '../../nowhere'];
      const bases = isShort ? all.slice(0, 2) : all;
      const problems: string[] = [];
      for (const base of bases) {
        const { ran } = await joinAt(folder, { base, baseHash: 'a'.repeat(64) });
        problems.push(...refusalProblems(base, ran, 2));
      }
      return { text: `${bases.length} paths, none of them opened`, problems };
    },
  },
  'other-settings': {
    about:
      'an inviter describes another learning rate than the run id covers, and limits of its own that it does not cover',
    run: async (folder) => {
      const covered = await joinAt(join(folder, 'covered'), {}, { learningRate: 0.5 });
      const own = { roundDeadlineMs: 50, aloneAfterMs: 0, maxOpenRounds: 64, announceMs: 50 };
      const free = await joinAt(join(folder, 'free'), {}, own);
      const taken = hasRun(free.folder)
        ? Object.entries(own).filter(([name, value]) => settingsIn(free.folder)[name] === value)
        : [];
      const problems = [
        ...refusalProblems('another learning rate', covered.ran, 3),
        ...(hasRun(free.folder) ? [] : [`who joined did not begin: ${free.ran.err.slice(-200)}`]),
        ...taken.map(([name]) => `${name} was taken over`),
      ];
      return { text: 'a learning rate of 0.5 in place of the run’s; 4 limits of the inviter’s', problems };
    },
  },
};

let joins = 0;

/** Joins by an invite whose giver describes the run as given, but for what it then says otherwise. */
async function joinAt(
  parent: string,
  given: Partial<RunSettings>,
  otherwise: Partial<RunSettings> = {},
): Promise<{ ran: Ran; folder: string }> {
  joins += 1;
  const folder = join(parent, `join-${joins}`);
  begin(folder);
  const settings = checkSettings({ labelPrior: 'off', ...given }, 'redteam');
  const run = given.base === undefined ? await openRun(settings) : { settings, runId: runIdOf(settings) };
  const key = await generateKey();
  const host = await createHost({
    key,
    book: createBook({ runId: run.runId, founder: '', id: idOfKey(key)!, key }),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    runId: run.runId,
    maxFrameBytes: DESCRIBED_BYTES,
    describeRun: () => JSON.stringify({ ...run.settings, ...otherwise }),
    onFrame: async () => {},
    ...HEEDLESS,
  });
  try {
    const invite = formatInvite({ addresses: host.addresses(), runId: run.runId, ticket: null });
    const args = ['join', invite, '--data', 'texts.tsv', '--anyway'];
    return { ran: await lorikeet(folder, args, { until: /^peer 12D3/m }), folder };
  } finally {
    await host.stop();
  }
}
