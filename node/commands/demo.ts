/** @file `lorikeet demo`: shows the peers while they learn, then one table. */
import { cpus } from 'node:os';
import { graphMistake, readEdges } from '../../protocol/edges.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { prepareFolder } from '../adapter.ts';
import type { Chronicle } from '../chronicle/chronicle.ts';
import type { DemoPeer, DemoResult } from '../demo.ts';
import { createDisplay, table } from '../display.ts';
import { UserError } from '../errors.ts';
import { bytesText, percent } from '../figures.ts';
import { DEMO_SETTINGS } from '../program/demo.ts';
import { checkSettings } from '../train/run.ts';
import { classCounts, isUneven } from '../train/score.ts';
import { openPage, pagePlace } from '../ui/start.ts';
import { deviceFlags, type Flags, integerFlag, interruptSignal } from './flags.ts';
import { confusionLines, majorityRow } from './scores.ts';

export async function demo(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const peers = integerFlag(flags, 'peers', 1, 64);
  const settings = checkSettings({ ...DEMO_SETTINGS, ...given, minPeers: peers }, 'demo');
  const graph = settings.schedule === 'edges' ? graphMistake(readEdges(settings.edges), peers) : null;
  if (graph) throw new UserError('usage', `--edges: ${graph.problem}`);
  const goldPerClass = integerFlag(flags, 'gold', 1, 100);
  const machine = deviceFlags(flags);
  const place = pagePlace(flags.ui);
  const display = createDisplay();
  const tidy = await prepareFolder(String(flags.out));
  const interrupt = interruptSignal(() => display.note('stopping (Ctrl-C again to stop at once)'));
  display.note(
    `${peers} peers, each with its own key and its own TCP host on 127.0.0.1, ${2 * goldPerClass} labelled reviews each; base ${settings.base}`,
  );
  const page = await openPage(place, { note: display.note });
  const chronicles: Chronicle[] = [];
  try {
    const { runDemo } = await import('../demo.ts'); // the network and onnxruntime, once all is checked
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
      onParticipant: ({ chronicle }) => {
        chronicles.push(chronicle);
        page?.add({ chronicle, actions: {} });
      },
      onPeers: (all, apart) => {
        display.live(peerTable(all, apart));
        const round = Math.min(...all.map((p) => p.view.round));
        if (display.isTerminal || round === reported) return;
        reported = round;
        display.note(roundLine(all, apart));
      },
    });
    const { testExamples: texts, accuracy } = result;
    const { base, baseCalibrated, alone, swarm } = accuracy;
    for (const chronicle of chronicles)
      chronicle.compared({ texts, base: baseCalibrated ?? base, alone: alone.mean, swarm: swarm.mean, at: null });
    display.close();
    console.log(flags.json ? JSON.stringify(result) : resultText(result, settings.codec));
  } finally {
    await page?.stop();
    tidy();
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
    percent(accuracyOf(view)),
    String(view.neighbours),
    bytesText(view.sentBytes),
  ]);
  return [
    ...table([['peer', 'holds', 'round', 'now', 'loss', 'dev accuracy', 'neighbours', 'sent'], ...rows]),
    `disagreement between peers: ${apart.toExponential(1)}`,
  ];
}

/** On development texts. */
function accuracyOf({ score }: DemoPeer['view']): number | null {
  return score?.type === 'accuracy' ? score.share : null;
}

function roundLine(peers: readonly DemoPeer[], apart: number): string {
  const mean = (xs: readonly (number | null)[]): number | null => {
    const known = xs.filter((x) => x !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  };
  const loss = mean(peers.map((p) => p.view.loss));
  const round = Math.min(...peers.map((p) => p.view.round));
  return `round ${round} of ${peers[0]!.view.rounds}: loss ${loss?.toFixed(3) ?? '-'}, dev accuracy ${percent(mean(peers.map((p) => accuracyOf(p.view))))}, disagreement ${apart.toExponential(1)}`;
}

/** Each row is a figure, or its mean and worst over peers. */
function scoreRows(result: DemoResult, figures: DemoResult['accuracy']): [name: string, mean: string, worst: string][] {
  const steps = result.rounds * result.localSteps;
  const labels = result.goldPerPeer * result.peers;
  return [
    ['base, zero-shot', percent(figures.base), ''],
    ...(figures.baseCalibrated === null
      ? []
      : [['base, label prior removed', percent(figures.baseCalibrated), ''] as [string, string, string]]),
    [
      `a peer alone (${result.goldPerPeer} labels, ${steps} steps)`,
      percent(figures.alone.mean),
      percent(figures.alone.worst),
    ],
    [`swarm of ${result.peers}, each peer's adapter`, percent(figures.swarm.mean), percent(figures.swarm.worst)],
    ['swarm, averaged adapter', percent(figures.swarmAverage), ''],
    [`pooled training (all ${labels} labels in one place)`, percent(figures.pooled), ''],
  ];
}

/** Accuracy; where classes are uneven balanced accuracy too, and what the swarm's peers call the texts of each class. */
function scoreText(result: DemoResult): string[] {
  const { accuracy, balanced, classes, confusion } = result;
  const head = [`accuracy on ${result.testExamples} held-out reviews`, 'mean', 'worst peer'];
  const rows = scoreRows(result, accuracy);
  if (!isUneven(classCounts(confusion.swarm))) return table([head, ...rows]);
  const beside = scoreRows(result, balanced);
  const [name, share, half] = majorityRow(classCounts(confusion.swarm), classes);
  return [
    ...table([
      [...head, 'balanced', 'worst peer'],
      ...rows.map((row, i) => [...row, ...beside[i]!.slice(1)]),
      [name!, share!, '', half!, ''],
    ]),
    '',
    ...confusionLines("each peer's adapter", confusion.swarm, classes),
  ];
}

function resultText(result: DemoResult, codec: string): string {
  return [
    '',
    ...scoreText(result),
    '',
    `sent per peer and round: ${bytesText(result.bytesPerPeerAndRound)} (${codec}); averaging every weight would send ${bytesText(result.bytesFullParameter)}, ${Math.round(result.bytesFullParameter / result.bytesPerPeerAndRound)} times as much`,
    `disagreement between peers at the end: ${result.disagreement.toExponential(1)}`,
    `${result.seconds.toFixed(0)} s, of which ${result.secondsSwarm.toFixed(0)} s the swarm (${result.rounds} rounds of ${result.localSteps} steps, ${result.closingRounds} closing); ${result.device}, ${cpus().length} cores, ${cpus()[0]?.model.trim() ?? ''}, seed ${result.seed}${result.seed === SETTINGS.seed.default ? '' : ` (--seed ${result.seed})`}`,
    `the shared adapter, in PEFT's format: ${result.adapter}`,
  ].join('\n');
}
