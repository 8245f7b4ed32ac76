/** @file `lorikeet demo`: shows the peers while they learn, then one table. */
import { cpus } from 'node:os';
import { graphMistake, readEdges } from '../../protocol/edges.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { prepareFolder } from '../adapter.ts';
import { type DemoPeer, type DemoResult, runDemo } from '../demo.ts';
import { bytesText, createDisplay, percent, table } from '../display.ts';
import { UserError } from '../errors.ts';
import { checkSettings } from '../train/run.ts';
import { DEMO_SETTINGS, deviceFlags, type Flags, integerFlag, interruptSignal } from './flags.ts';

export async function demo(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const peers = integerFlag(flags, 'peers', 1, 64);
  const settings = checkSettings({ ...DEMO_SETTINGS, ...given, minPeers: peers }, 'demo');
  const graph = settings.schedule === 'edges' ? graphMistake(readEdges(settings.edges), peers) : null;
  if (graph) throw new UserError('usage', `--edges: ${graph.problem}`);
  const goldPerClass = integerFlag(flags, 'gold', 1, 100);
  const machine = deviceFlags(flags);
  const display = createDisplay();
  await prepareFolder(String(flags.out));
  const interrupt = interruptSignal(() => display.note('stopping (Ctrl-C again to stop at once)'));
  display.note(
    `${peers} peers, each with its own key and its own TCP host on 127.0.0.1, ${2 * goldPerClass} labelled reviews each; base ${settings.base}`,
  );
  try {
    let reported = -1;
    const result = await runDemo({
      peers,
      goldPerClass,
      settings,
      ...machine,
      out: String(flags.out),
      signal: interrupt.signal,
      onNotice: display.note,
      onProgress: display.progress,
      onPeers: (all, apart) => {
        display.live(peerTable(all, apart));
        const round = Math.min(...all.map((p) => p.view.round));
        if (display.isTerminal || round === reported) return;
        reported = round;
        display.note(roundLine(all, apart));
      },
    });
    display.close();
    console.log(flags.json ? JSON.stringify(result) : resultText(result, settings.codec));
  } finally {
    interrupt.dispose();
  }
}

function peerTable(peers: readonly DemoPeer[], apart: number): string[] {
  const rows = peers.map(({ name, kind, view }) => [
    name,
    kind,
    `${view.round}/${view.rounds}`,
    view.phase,
    view.loss?.toFixed(3) ?? '-',
    percent(view.accuracy),
    String(view.neighbours),
    bytesText(view.sentBytes),
  ]);
  return [
    ...table([['peer', 'holds', 'round', 'now', 'loss', 'dev accuracy', 'neighbours', 'sent'], ...rows]),
    `disagreement between peers: ${apart.toExponential(1)}`,
  ];
}

function roundLine(peers: readonly DemoPeer[], apart: number): string {
  const mean = (xs: readonly (number | null)[]): number | null => {
    const known = xs.filter((x) => x !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  };
  const loss = mean(peers.map((p) => p.view.loss));
  const round = Math.min(...peers.map((p) => p.view.round));
  return `round ${round} of ${peers[0]!.view.rounds}: loss ${loss?.toFixed(3) ?? '-'}, dev accuracy ${percent(mean(peers.map((p) => p.view.accuracy)))}, disagreement ${apart.toExponential(1)}`;
}

function resultText(result: DemoResult, codec: string): string {
  const { accuracy } = result;
  const steps = result.rounds * result.localSteps;
  const rows = [
    [`accuracy on ${result.testExamples} held-out reviews`, 'mean', 'worst peer'],
    ['base, zero-shot', percent(accuracy.base), ''],
    ['base, label prior removed', percent(accuracy.baseCalibrated), ''],
    [
      `a peer alone (${result.goldPerPeer} labels, ${steps} steps)`,
      percent(accuracy.alone.mean),
      percent(accuracy.alone.worst),
    ],
    [`swarm of ${result.peers}, each peer's adapter`, percent(accuracy.swarm.mean), percent(accuracy.swarm.worst)],
    ['swarm, averaged adapter', percent(accuracy.swarmAverage), ''],
    [`pooled training (all ${result.goldPerPeer * result.peers} labels in one place)`, percent(accuracy.pooled), ''],
  ];
  const ratio = Math.round(result.bytesFullParameter / result.bytesPerPeerAndRound);
  return [
    '',
    ...table(rows),
    '',
    `sent per peer and round: ${bytesText(result.bytesPerPeerAndRound)} (${codec}); averaging every weight would send ${bytesText(result.bytesFullParameter)}, ${ratio} times as much`,
    `disagreement between peers at the end: ${result.disagreement.toExponential(1)}`,
    `${result.seconds.toFixed(0)} s, of which ${result.secondsSwarm.toFixed(0)} s the swarm (${result.rounds} rounds of ${result.localSteps} steps, ${result.closingRounds} closing); ${result.device}, ${cpus().length} cores, ${cpus()[0]?.model.trim() ?? ''}, seed ${result.seed}${result.seed === SETTINGS.seed.default ? '' : ` (--seed ${result.seed})`}`,
    `the shared adapter, in PEFT's format: ${result.adapter}`,
  ].join('\n');
}
