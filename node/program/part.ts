/** @file Commands by which one takes part in a run, and those it needs before and while it goes on. */
import type { Command } from 'commander';
import { DEMO_SETTINGS } from './demo.ts';
import { standingSettings, swarmOf } from './layers.ts';
import { type Flags, settingsOf, withData, withMachine, withSettings, withState } from './shared.ts';

function withPage(command: Command): Command {
  return command
    .option('--ui [address]', 'where the page of this peer is: PORT or ADDRESS:PORT (default: 127.0.0.1, a free port)')
    .option('--no-ui', 'no page');
}

function withPeer(command: Command): Command {
  return withPage(withData(withMachine(command)))
    .requiredOption(
      '--data <file>',
      'your texts with optional labels: .tsv, .csv or .jsonl with a header naming text and label; to write like them also prompt and completion, messages, or .txt',
    )
    .option('--name <name>', 'what the others see this peer called, 30 characters at most (default: its id alone)')
    .option('--anyway', 'also where the base knows few of the words of your texts')
    .option(
      '--test <file>',
      'texts, labelled where classes are learned, never trained on, to compare base, alone and swarm at the end',
    )
    .option(
      '--held-out <count>',
      'own texts not trained on, to tell on the way whether joining helps; default: a fifth of 40 or more, up to 100, without --test',
    )
    .option('--follow', 'with --json: one object an event, as it happens; the invite first, the result last')
    .option('--verbose', 'also distances, refused messages and a line every round, in words')
    .option('--state <dir>', 'where key, settings and snapshots are kept; default: DATA.lorikeet, beside the data')
    .option('--metrics <address>', 'answer Prometheus at this HOST:PORT, under /metrics; a port alone: of 127.0.0.1')
    .option('--continue', 'go on with a state although the data have changed since')
    .option('--invite-file <file>', 'for programs: up writes the invite there, join waits for it there')
    .option('--detach', 'go on in the background; returns when it is up, with its invite, state and process')
    .option('--serve', 'when the run is over, go on answering those who come late')
    .option(
      '--wait <seconds>',
      'longest wait for the first others; 0: for ever, as who starts a run does (default: 300)',
    )
    .option('--port <number>', 'TCP port to listen on; 0: a free one, kept across restarts', '0')
    .option(
      '--announce <addresses>',
      'where others reach this peer though it listens elsewhere: HOST or HOST:PORT of a router or a container',
    )
    .option('--no-lan', 'tell nobody of this network of the run')
    .option('--no-relay', 'pass nothing on between members that cannot reach each other')
    .option(
      '--host <address>',
      'address to listen on; 0.0.0.0 for other machines, as join does by itself where the invite leads to one (default: 127.0.0.1)',
    );
}

/** Goes on in a process of its own where that is wanted; whether it has. */
async function isDetached(flags: Flags): Promise<boolean> {
  if (!flags.detach) return false;
  const { detach, isToDetach } = await import('../commands/detach.ts');
  if (!isToDetach(flags)) return false;
  await detach(flags);
  return true;
}

export function addTakingPart(program: Command): void {
  const demo = program
    .command('demo')
    .summary('six peers on this machine learn together')
    .description('Six peers on this machine learn together from reviews each keeps to itself.');
  withSettings(
    withPage(withMachine(demo))
      .option('--peers <count>', 'how many peers', '6')
      .option('--gold <count>', 'labelled examples of each class and peer', '8')
      .option('--out <dir>', 'where the shared adapter is left', 'lorikeet-demo'),
    (name) => !['minPeers', 'labels', 'objective'].includes(name),
    DEMO_SETTINGS,
  ).action(async (flags: Flags) => (await import('../commands/demo.ts')).demo(flags, settingsOf(flags)));

  const up = program
    .command('up')
    .summary('start a run; prints the invite for the others')
    .description('Start a run and its first peer; prints the invite for the others.');
  withSettings(withPeer(up))
    .option('--run <name>', 'what machines of this network see it called')
    .option('--open', 'let in whoever comes, without an invite: for demonstrations and research')
    .option('--config <file>', 'options from a YAML file, such as rounds: 12; flags and LORIKEET_* win')
    .option('--from <dir>', 'start from this PEFT adapter, whose task is taken along, instead of a fresh one')
    .action(async (flags: Flags, command: Command) => {
      if (await isDetached(flags)) return;
      const peers = swarmOf(command);
      if (peers) return (await import('../commands/swarm.ts')).swarm(peers, command);
      return (await import('../commands/up.ts')).up(flags, settingsOf(flags), standingSettings(command));
    });

  const join = program
    .command('join')
    .summary('join a run by its invite, or come back to it')
    .description('Join a run by its invite, or come back to it.')
    .argument('[invite...]', 'what "lorikeet up" printed; without one, the runs of this network are listed');
  withSettings(withPeer(join), (_name, setting) => !setting.arithmetic)
    .option('--run <name>', 'without an invite: which run of this network, by its name or id')
    .option(
      '--secret <invite>',
      'with --run: an invite to it, whose addresses need not be right, or what follows its dot',
    )
    .option('--download', "bring the run's base from the Hub where it is not here, without asking")
    .action(async (words: string[], flags: Flags) => {
      if (await isDetached(flags)) return;
      await (await import('../commands/join.ts')).join(words, flags, settingsOf(flags));
    });

  const init = program
    .command('init')
    .description(
      'Write run.yaml, which "lorikeet up --config" takes: asks on a terminal, or takes flags; overwrites nothing.',
    );
  withSettings(init, (name) => ['objective', 'base', 'labels', 'minPeers', 'rounds'].includes(name))
    .option('--data <file>', 'your texts, with optional labels')
    .option('--host <address>', 'address to listen on; 0.0.0.0 for other machines')
    .option('--out <file>', 'what to write', 'run.yaml')
    .option('--yes', 'ask nothing: flags and defaults')
    .action(async (flags: Flags) => (await import('../commands/init.ts')).init(flags));

  withState(
    program
      .command('invite')
      .description('Print another invite to the run of a state folder; its peer may be at work.')
      .option('--uses <count>', 'how many peers it admits', '16')
      .option('--expires <duration>', 'until when: such as 30m, 12h or 7d, or never', '7d')
      .option('--qr', 'also as a QR code, where the terminal is wide enough')
      .option('--json', 'print it as one JSON object on stdout'),
  ).action(async (flags: Flags) => (await import('../commands/invite.ts')).invite(flags));

  for (const [name, about] of [
    ['pause', 'Hold a peer at work back from new rounds; it stays connected and answers the others.'],
    ['resume', 'Let a paused peer go on.'],
    ['leave', 'Let a peer at work say goodbye and end with 0; its state and adapter are kept.'],
  ] as const)
    withState(program.command(name).description(about))
      .option('--json', 'print how the peer stands as one JSON object on stdout')
      .action(async (flags: Flags) => (await import('../commands/control.ts')).control(name, flags));
}
