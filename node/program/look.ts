/** @file Commands that tell of peers and of texts, and change nothing of what is learned. */
import type { Command } from 'commander';
import { type Flags, isTaskSetting, settingsOf, withData, withSettings, withState } from './shared.ts';

export function addLooking(program: Command): void {
  withState(
    program
      .command('status')
      .summary('how your peer stands, now or when it stopped')
      .description('Say how the peer of a state folder stands: at work, or what is kept of it.')
      .option('--json', 'print it as one JSON object on stdout')
      .option('--watch', 'again every second, until Ctrl-C'),
  ).action(async (flags: Flags) => (await import('../commands/status.ts')).status(flags));

  withState(
    program
      .command('logs')
      .summary('what your peer has done, line by line')
      .description('Print what the peer of a state folder has done: rounds, notices, how it ended; never a text.')
      .option('-f, --follow', 'go on with what is to come, until Ctrl-C')
      .option('--lines <count>', 'how many of the last lines; 0: only what is to come', '100')
      .option('--json', 'each as a JSON object'),
  ).action(async (flags: Flags) => (await import('../commands/logs.ts')).logs(flags));

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
