/** @file What `up` and `join` show of a peer while it takes part: a live block, lines in a pipe, or events as JSON lines. */
import type { Refusal } from '../../protocol/frame.ts';
import type { Comparison } from '../chronicle/record.ts';
import { type Display, table } from '../display.ts';
import { bytesText, counted, durationText, percent } from '../figures.ts';
import { calledText, wayText } from '../network/ways.ts';
import type { ParticipantView } from '../participant-view.ts';
import { REFUSED } from '../refusals.ts';
import { createReminder } from '../reminder.ts';

export interface ViewOptions {
  readonly display: Display;
  /** Also what only somebody who looks for a fault wants: distances, refusals, a line every round. */
  readonly isVerbose: boolean;
  /** Takes an object an event, for `--json --follow`; null: nobody follows. */
  readonly follow: ((event: Readonly<Record<string, unknown>>) => void) | null;
  /** When it gives up waiting for its first company (ms since 1970); null: not at all. */
  readonly givesUpMs?: () => number | null;
}

/** What is shown beside how a peer stands. */
interface Shown {
  readonly isVerbose: boolean;
  /** Of the run; null: not known. */
  readonly leftMs: number | null;
  readonly nowMs: number;
  readonly givesUpMs: number | null;
}

export interface PeerView {
  /** Shows how it stands now. */
  show(view: ParticipantView): void;
  stop(): void;
}

/** Lines in a pipe over a whole run, about. */
const LINES_A_RUN = 10;
const REFRESH_MS = 1000;

/** Shows a peer from now on. */
export function createPeerView({ display, isVerbose, follow, givesUpMs = () => null }: ViewOptions): PeerView {
  const left = timeLeft();
  const lines = stageLines();
  const events = follow && followRounds(follow);
  let latest: ParticipantView | null = null;
  const render = (view: ParticipantView): void => {
    const shown = { isVerbose, leftMs: left(view, now()), nowMs: now(), givesUpMs: givesUpMs() };
    display.live(viewLines(view, shown));
    const line = display.isTerminal ? null : lines(view, shown);
    if (line !== null) display.note(line);
  };
  const timer = setInterval(() => latest && render(latest), REFRESH_MS);
  timer.unref();
  return {
    show: (view) => {
      latest = view;
      render(view);
      events?.(view);
    },
    stop: () => clearInterval(timer),
  };
}

/** Ms on the clock that deadlines are on. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Tells how long the rest of the run takes, going by the rounds seen so far; null before there is one. */
function timeLeft(): (view: ParticipantView, nowMs: number) => number | null {
  let first: { round: number; at: number } | null = null;
  let last: { round: number; at: number; left: number | null } = { round: -1, at: 0, left: null };
  return ({ phase, round, rounds }, nowMs) => {
    if (phase === 'gathering' || phase === 'finished') return null;
    first ??= { round, at: nowMs };
    if (round !== last.round) {
      const pace = round > first.round ? (nowMs - first.at) / (round - first.round) : null;
      last = { round, at: nowMs, left: pace === null ? null : pace * (rounds - round) };
    }
    return last.left === null ? null : Math.max(0, last.left - (nowMs - last.at));
  };
}

/** Gives a line where a stage begins (waiting, about ten rounds of a run), and on a wait that goes on; else null. */
export function stageLines(): (view: ParticipantView, shown: Shown) => string | null {
  let last = '';
  const isDue = createReminder();
  return (view, shown) => {
    const { isVerbose, nowMs } = shown;
    const { phase, round, rounds } = view;
    const part = isVerbose ? round : Math.floor((round * LINES_A_RUN) / Math.max(1, rounds));
    const stage =
      phase === 'gathering'
        ? `gathering ${view.members} ${view.standing.isPausing}`
        : phase === 'finished'
          ? phase
          : `round ${part}`;
    if (stage !== last) {
      last = stage;
      isDue(`${stage} ${waitOf(view)}`, nowMs);
      return phase === 'gathering' || phase === 'finished' ? waitText(view, shown) : roundLine(view, shown);
    }
    const wait = waitOf(view);
    if (!isDue(wait && `${stage} ${wait}`, nowMs)) return null;
    return phase === 'gathering' ? waitText(view, shown) : `round ${round} of ${rounds}: ${waitText(view, shown)}`;
  };
}

/** Which wait a peer is in; '': none. */
function waitOf({ phase, round, standing }: ParticipantView): string {
  if (phase === 'gathering') return phase;
  return standing.awaited.length > 0 ? `${phase} ${round}` : '';
}

function roundLine(view: ParticipantView, { isVerbose, leftMs }: Shown): string {
  const parts = [
    counted(view.members, 'member'),
    `mixed ${view.neighbours}`,
    `loss ${lossText(view)}`,
    ...(view.pseudo > 0 ? [`soft labels ${softLabelsText(view)}`] : []),
    ...(view.comparison ? [helpsText(view, view.comparison)] : []),
    `sent ${bytesText(view.sentBytes)}`,
    ...(leftMs === null ? [] : [`about ${durationText(leftMs / 1000)} left`]),
    ...(isVerbose ? [`distance ${scientific(view.distance)}`, `cross term ${scientific(view.crossTerm)}`] : []),
  ];
  return `round ${view.round} of ${view.rounds}: ${parts.join(', ')}`;
}

/** An event a change of stage and a round, and one where more has been refused, for whoever follows. */
function followRounds(follow: (event: Readonly<Record<string, unknown>>) => void): (view: ParticipantView) => void {
  let [last, refusals] = ['', 0];
  let compared: Comparison | null = null;
  return (view) => {
    const total = Object.values(view.refused).reduce((sum, count) => sum + count, 0);
    if (total > refusals) follow({ event: 'refused', refused: view.refused });
    refusals = total;
    // Samples are users' words, which no log holds.
    const { samples: _, ...figures } = view.comparison ?? {};
    if (view.comparison !== compared) follow({ event: 'compared', ...figures });
    compared = view.comparison;
    const { phase, round, rounds, members, wanted, loss, neighbours, pseudo, sentBytes, standing, objective } = view;
    const key = phase === 'gathering' ? `gathering ${members}` : phase === 'finished' ? phase : `round ${round}`;
    if (key === last) return;
    last = key;
    if (phase === 'gathering') follow({ event: 'waiting', members, wanted, connected: standing.connected });
    else if (phase !== 'finished') {
      const { distance, crossTerm } = view;
      const perplexity = objective === 'next-token' ? { perplexity: loss === null ? null : Math.exp(loss) } : {};
      const mixed = { mixed: neighbours, loss, ...perplexity, softLabels: pseudo, distance, crossTerm };
      follow({ event: 'round', round, rounds, members, connected: standing.connected, ...mixed, sentBytes });
    }
  };
}

/** The live block: labels to the left. */
export function viewLines(view: ParticipantView, shown: Shown): string[] {
  const { isVerbose, leftMs } = shown;
  const left = leftMs === null ? '' : `, about ${durationText(leftMs / 1000)} left`;
  const rows = [
    ['round', `${view.round} of ${view.rounds}${left}`],
    ['now', waitText(view, shown)],
    ['members', `${view.members}, you among them`],
    ['connected to', connectedText(view) || 'nobody yet'],
    ['mixed with', `${counted(view.neighbours, 'neighbour')} in the last round`],
    ['your texts', textsOf(view)],
    ...(view.unlabelled > 0 ? [['soft labels', softLabelsText(view)]] : []),
    ['loss', lossText(view)],
    ...(view.comparison ? [['joining', helpsText(view, view.comparison)], ...sampleRows(view.comparison)] : []),
    ['sent', bytesText(view.sentBytes)],
    ...(isVerbose ? verboseRows(view) : []),
  ];
  return table(rows, 'left');
}

function textsOf({ objective, labelled, unlabelled }: ParticipantView): string {
  return objective === 'classify'
    ? `${labelled} labelled, ${unlabelled} unlabelled`
    : `${labelled}, to write like them`;
}

/** Of the last local steps, on the peer's own texts; of writing as perplexity too. */
function lossText({ objective, loss }: ParticipantView): string {
  if (loss === null) return '-';
  return objective === 'classify'
    ? loss.toFixed(3)
    : `${loss.toFixed(3)} a token (perplexity ${Math.exp(loss).toFixed(1)})`;
}

/** Whether joining helps: base, alone and swarm, as far as they are known. */
export function helpsText({ objective }: Pick<ParticipantView, 'objective'>, comparison: Comparison): string {
  const { texts, base, alone, swarm, at } = comparison;
  const figure = (value: number): string =>
    objective === 'classify' ? percent(value) : `${value.toFixed(3)} (perplexity ${Math.exp(value).toFixed(1)})`;
  const told = (name: string, value: number | null, rounds = 0): string[] =>
    value === null ? [] : [`${name} ${figure(value)}${rounds > 0 ? ` after ${counted(rounds, 'round')}` : ''}`];
  const all = [...told('base', base), ...told('alone', alone, at?.alone), ...told('swarm', swarm, at?.swarm)];
  return `${all.join(', ')} on ${counted(texts, 'text')} nobody here trains on`;
}

/** What each writes on after the same words. */
function sampleRows({ samples }: Comparison): string[][] {
  if (!samples) return [];
  const { prompt, at } = samples;
  const rounds = { base: 0, ...at };
  return (['base', 'alone', 'swarm'] as const).flatMap((name) =>
    samples[name] === null ? [] : [[`${name} writes`, `"${prompt}" ... ${writtenText(samples[name], rounds[name])}`]],
  );
}

function writtenText(text: string, rounds: number): string {
  return `${text === '' ? '(blank)' : `"${text}"`}${rounds > 0 ? ` after ${counted(rounds, 'round')}` : ''}`;
}

/** For whoever looks for a fault, each with what it means. */
function verboseRows(view: ParticipantView): string[][] {
  const refused = (Object.entries(view.refused) as [Refusal, number][]).map(
    ([code, count]) => `${count} ${REFUSED[code]}`,
  );
  return [
    ['distance', `${scientific(view.distance)}: how far the neighbours' adapters were from this one, to its size`],
    ['cross term', `${scientific(view.crossTerm)}: how far averaging A and B is from averaging their product`],
    ['diverged', `${counted(view.diverged, 'round')}: training gave numbers that are not finite`],
    ['given up', `${counted(view.abandoned, 'exchange')}, mostly with peers that left`],
    ['refused', refused.join('; ') || 'no message'],
  ];
}

/** What the peer is doing, and whom it waits for, how long still. */
function waitText(view: ParticipantView, { nowMs, givesUpMs }: Shown): string {
  const { awaited, untilMs } = view.standing;
  const everyone = listText(awaited.map((id) => calledText(id, view.names)));
  const left = untilMs === null ? '' : durationText(Math.max(0, untilMs - nowMs) / 1000);
  const still = left && `, ${left} at most`;
  const whom = awaited.length > 0 ? ` ${everyone}${still}` : '';
  switch (view.phase) {
    case 'gathering': {
      const missing = Math.max(0, view.wanted - view.members);
      const end = givesUpMs === null ? still : `, gives up in ${durationText(Math.max(0, givesUpMs - nowMs) / 1000)}`;
      if (view.standing.isPausing)
        return `pausing, left with too few others: ${view.members} of ${view.wanted} here; goes on without the rest${left && ` in ${left}`}`;
      return missing > 0
        ? `waiting for ${missing} more ${missing === 1 ? 'peer' : 'peers'}: ${view.members} of ${view.wanted} here${end}`
        : `waiting for peers: ${view.members} here${end}`;
    }
    case 'asking':
      return `asking for the adapter of this round${whom}`;
    case 'training':
      return view.isHeld ? 'paused: answers the others and does not train; "lorikeet resume" goes on' : 'training';
    case 'opening':
      return `waiting until an earlier exchange has ended${whom && ` with${whom}`}`;
    case 'exchanging':
      return whom ? `waiting for the adapter of${whom}` : 'exchanging adapters';
    case 'finished':
      return whom ? `the last round is mixed; waiting for word of${whom}` : 'the last round is mixed';
  }
}

const NAMES_SHOWN = 5;

/** To whom, and through what. */
function connectedText({ standing, ways, names }: ParticipantView): string {
  return listText(
    standing.connected.map((id) => {
      const way = ways.find((one) => one.id === id);
      return `${calledText(id, names)}${way ? ` ${wayText(way, names)}` : ''}`;
    }),
  );
}

/** The first few. */
function listText(all: readonly string[]): string {
  const more = all.length > NAMES_SHOWN ? ` and ${all.length - NAMES_SHOWN} more` : '';
  return `${all.slice(0, NAMES_SHOWN).join(', ')}${more}`;
}

function scientific(value: number | null): string {
  return value?.toExponential(1) ?? '-';
}

/** How many texts have one, their share of the unlabelled, and where it is known how many are right. */
function softLabelsText({ pseudo, coverage, precision }: ParticipantView): string {
  return `${pseudo} (${percent(coverage)} of the unlabelled${precision === null ? '' : `, ${percent(precision)} right`})`;
}
