/** @file How it goes: the round, the time left, whether joining helps, how it learns and how far apart the peers are. */
import type { Notice } from '../../chronicle/record.ts';
import { bytesText, counted, durationText, figureText } from '../../figures.ts';
import type { Source, ViewProps } from '../live.ts';
import { Chart } from '../parts/chart.tsx';
import { Card, Fact } from '../parts/mark.tsx';
import type { Line } from '../report.ts';
import { leftOf, MEASURES, phaseText, timeText } from '../words.ts';

export function Overview({ sources, nameOf }: ViewProps) {
  const { subject, head } = slowest(sources).whole;
  const measure = MEASURES[subject.objective];
  const line = (of: (round: Source['whole']['rounds'][number]) => number | null): Line[] =>
    sources.map(({ whole, peer }) => ({
      name: nameOf(whole.subject.id),
      tone: peer,
      points: whole.rounds.flatMap((one): [number, number][] => {
        const y = of(one);
        return y === null ? [] : [[one.round + 1, y]];
      }),
    }));
  const rounds = subject.rounds + subject.closingRounds;
  const left = leftOf(slowest(sources).whole);
  const sum = (of: (source: Source) => number): number => sources.reduce((total, one) => total + of(one), 0);
  const several = sources.length > 1 ? `, by ${sources.length} peers together` : '';
  return (
    <>
      <dl class="facts">
        <Fact
          name="Round"
          more={<progress max={rounds} value={Math.min(rounds, head.round)} aria-label="rounds done" />}
        >
          {Math.min(rounds, head.round)} <span class="quiet">of {rounds}</span>
        </Fact>
        <Fact name="Now">{phaseText(head, nameOf)}</Fact>
        <Fact name="Time left">
          {head.phase === 'finished' ? 'none' : left === null ? 'not known yet' : `about ${durationText(left / 1000)}`}
        </Fact>
        <Fact name="Members">{head.members}</Fact>
        <Fact name="Sent" more={`received ${bytesText(sum((s) => s.whole.head.receivedBytes))}${several}`}>
          {bytesText(sum((s) => s.whole.head.sentBytes))}
        </Fact>
        <Fact name="Texts" more={`${head.unlabelled} without a label`}>
          {head.labelled}
        </Fact>
      </dl>
      <div class="columns">
        <div class="stack">
          <Helps sources={sources} />
          <Notices sources={sources} nameOf={nameOf} />
          <About source={sources[0]!} nameOf={nameOf} />
        </div>
        <Chart title={measure.title} x="round" y={measure.axis} format={measure.format} lines={line((r) => r.score)} />
        <Chart title="Loss of local steps" x="round" y="mean loss" lines={line((r) => r.loss)} />
        <Chart
          title="How far neighbours are apart"
          about="distance of the neighbours' adapters from one's own, relative to its size"
          x="round"
          y="relative distance"
          isLogarithmic
          lines={line((r) => r.distance)}
        />
      </div>
    </>
  );
}

function slowest(sources: readonly Source[]): Source {
  return sources.reduce((a, b) => (b.whole.head.round < a.whole.head.round ? b : a));
}

/** The question people ask first. */
function Helps({ sources }: { sources: readonly Source[] }) {
  const { comparison, subject, rounds } = sources[0]!.whole;
  const { format, axis } = MEASURES[subject.objective];
  if (!comparison) {
    const isWatched = rounds.some(({ score }) => score !== null);
    return (
      <Card title="Does joining help?">
        <p class="quiet">
          {isWatched
            ? 'Base, alone and swarm are compared when the run is over; until then the curve shows the swarm.'
            : 'With --test FILE, or --held-out N of this peer’s own texts, base, alone and swarm are compared.'}
        </p>
      </Card>
    );
  }
  const latest = rounds.findLast(({ score }) => score !== null)?.score ?? null;
  const { at } = comparison;
  const bars = (['base', 'alone', 'swarm'] as const).flatMap((name) => {
    const value = name === 'swarm' ? (comparison.swarm ?? latest) : comparison[name];
    return value === null ? [] : [{ name, value }];
  });
  const most = subject.objective === 'classify' ? 1 : Math.max(...bars.map(({ value }) => value));
  return (
    <Card title="Does joining help?" about={`${axis}, on ${counted(comparison.texts, 'text')} that nobody trained on`}>
      <ul class="bars">
        {bars.map(({ name, value }) => (
          <li key={name} class={name}>
            <span>{name}</span>
            <span class="bar" style={{ width: `${(100 * value) / most}%` }} />
            <strong>{format(value)}</strong>
          </li>
        ))}
      </ul>
      {comparison.samples && (
        <dl class="pairs">
          {(['base', 'alone', 'swarm'] as const).map((name) => (
            <div key={name}>
              <dt>{name} writes</dt>
              <dd>
                <span class="quiet">{comparison.samples!.prompt}</span> {comparison.samples![name] ?? '-'}
              </dd>
            </div>
          ))}
        </dl>
      )}
      {at && (
        <p class="quiet">
          {comparison.alone === null
            ? 'What this peer learns alone is not known yet.'
            : `The swarm after ${counted(at.swarm, 'round')}, this peer alone after ${counted(at.alone, 'round')}: it trains alone for a fifth of the time at most.`}
        </p>
      )}
    </Card>
  );
}

const SHOWN = 12;

function Notices({ sources, nameOf }: Pick<ViewProps, 'sources' | 'nameOf'>) {
  const all = sources
    .flatMap(({ whole }) =>
      whole.notices.map((notice): Notice & { by: string } => ({ ...notice, by: whole.subject.id })),
    )
    .sort((a, b) => b.at - a.at)
    .slice(0, SHOWN);
  return (
    <Card title="What was said">
      <ol class="notices" aria-live="polite">
        {all.map(({ at, text, by }) => (
          <li key={`${at} ${by} ${text}`}>
            <time dateTime={new Date(at).toISOString()}>{timeText(at)}</time>{' '}
            {sources.length > 1 && <strong>{nameOf(by)}: </strong>}
            {text}
          </li>
        ))}
      </ol>
      {all.length === 0 && <p class="quiet">Nothing out of the ordinary.</p>}
    </Card>
  );
}

function About({ source: { whole }, nameOf }: { source: Source } & Pick<ViewProps, 'nameOf'>) {
  const { subject, head } = whole;
  const facts: [string, string][] = [
    ['run', subject.runId],
    ['you are', subject.name ? `${subject.name}, ${subject.id}` : subject.id],
    ['base', subject.base],
    [
      'learns',
      subject.objective === 'classify' ? `classes: ${subject.classes.join(', ')}` : 'to write as the texts do',
    ],
    ['mixing', `${subject.rule}, ${subject.schedule}, packed as ${subject.codec}`],
    ['who may join', subject.isOpen ? 'anybody' : 'who holds an invite'],
    ...(head.adoptedFrom
      ? [['came late', `went on with the adapter of ${nameOf(head.adoptedFrom)}`] as [string, string]]
      : []),
    ...(head.diverged > 0
      ? [['diverged', `${head.diverged} rounds gave numbers that are not finite`] as [string, string]]
      : []),
    ['at work since', `${timeText(head.beganAt)}, ${figureText((head.at - head.beganAt) / 60_000)} min`],
  ];
  return (
    <Card title="This run">
      <dl class="pairs">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
