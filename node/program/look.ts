/** @file Commands that tell of peers and of texts, and change nothing of what is learned. */
import type { Command } from 'commander';
import { type Flags, isTaskSetting, settingsOf, withData, withSettings, withState } from './shared.ts';

export function addLooking(program: Command): void {
  const peers = withState(
    program
      .command('peers')
      .summary('who belongs to the run; ban or allow one')
      .description('List who belongs to a run; ban an id and whomever it invited, or allow it again.'),
  )
    .option('--json', 'print the list as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('../commands/peers.ts')).peers(flags));
  for (const [name, about] of [
    ['ban', 'Refuse an id and whomever it has invited, also while the peer is at work.'],
    ['allow', 'Let an id in again.'],
  ] as const) {
    const judge = withState(peers.command(name).description(about).argument('<id>', 'the id of a peer, 12D3KooW...'));
    if (name === 'ban')
      judge.option('--tell', 'ask the others to refuse it too; those it was not invited by ask you first');
    judge.action(async (id: string, flags: Flags) => (await import('../commands/peers.ts')).judge(name, id, flags));
  }

  const check = program
    .command('check')
    .summary('what is in your texts, as a run would read them')
    .description('Read your texts as a run would, and say what is in them; nothing is trained.');
  withSettings(
    withData(check)
      .requiredOption('--data <file>', 'your texts with optional labels: .tsv, .csv, .json or .jsonl')
      .option('--anyway', 'also where the base knows few of the words of your texts')
      .option('--json', 'print what was found as one JSON object on stdout'),
    (name) => isTaskSetting(name) || name === 'objective',
  ).action(async (flags: Flags) => (await import('../commands/check.ts')).check(flags, settingsOf(flags)));
}
