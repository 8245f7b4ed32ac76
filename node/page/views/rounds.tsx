/** @file What each round was spent on: training, and each neighbour's adapter on its way; and what was refused, by code. */

import { useState } from 'preact/hooks';
import type { EdgeRecord, RoundRecord } from '../../chronicle/record.ts';
import { bytesText, figureText } from '../../figures.ts';
import { REFUSED } from '../../refusals.ts';
import type { ViewProps } from '../live.ts';
import { Card } from '../parts/mark.tsx';
import { Slider } from '../parts/slider.tsx';
import { Table } from '../parts/table.tsx';
import { spanText } from '../words.ts';

/** Rounds that are seen at once. */
const SEEN = 8;

export function Rounds({ source, nameOf }: ViewProps) {
  const { rounds, head } = source.whole;
  const [asked, setAsked] = useState<number | null>(null);
  const last = Math.max(0, rounds.length - SEEN);
  const begin = Math.min(asked ?? last, last);
  const shown = rounds.slice(begin, begin + SEEN);
  const span = Math.max(1, ...shown.map((round) => endOf(round, head.at) - round.beganAt));
  const refusals = Object.entries(head.refused) as [keyof typeof REFUSED, number][];
  return (
    <>
      {last > 0 && (
        <Slider id="first" last={last} value={begin} asked={asked} onAsk={setAsked}>
          Rounds {begin + 1} to {begin + shown.length}
        </Slider>
      )}
      <section class="card" aria-label="waterfall">
        <ul class="key">
          <li>
            <span class="bit training" /> training
          </li>
          <li>
            <span class="bit waiting" /> waiting for the neighbour's adapter
          </li>
          <li>
            <span class="bit came" /> here, waiting for the others
          </li>
          <li class="quiet">from the beginning of each round to {spanText(span)} after it</li>
        </ul>
        {shown.length === 0 && <p class="quiet">No round has begun yet.</p>}
        {shown.map((round) => (
          <Waterfall key={round.round} {...{ round, span, now: head.at, nameOf }} />
        ))}
      </section>
      <div class="columns">
        <Card title="All rounds">
          <Table title="rounds" columns={ROUND_COLUMNS} rows={rounds} keyOf={({ round }) => String(round)} />
        </Card>
        <Card title="Refused messages" about="what was not let in, by why">
          <Table
            title="refusals"
            columns={[
              { title: 'why', isText: true, value: ([code]) => REFUSED[code] },
              { title: 'code', isText: true, value: ([code]) => code },
              { title: 'count', value: ([, count]) => count },
            ]}
            rows={refusals}
            keyOf={([code]) => code}
            empty="No message was refused."
          />
        </Card>
      </div>
    </>
  );
}

const ROUND_COLUMNS = [
  { title: 'round', value: ({ round }: RoundRecord) => round + 1 },
  {
    ...{ title: 'took', value: (round: RoundRecord) => round.mixedAt && round.mixedAt - round.beganAt },
    cell: (round: RoundRecord) => (round.mixedAt ? spanText(round.mixedAt - round.beganAt) : 'under way'),
  },
  { title: 'mixed', value: ({ edges }: RoundRecord) => edges.filter(({ distance }) => distance !== null).length },
  { title: 'left for later', value: ({ missed }: RoundRecord) => missed },
  {
    ...{ title: 'loss', value: ({ loss }: RoundRecord) => loss },
    cell: ({ loss }: RoundRecord) => (loss === null ? '-' : figureText(loss)),
  },
  { title: 'soft labels', value: ({ softLabels }: RoundRecord) => softLabels },
  {
    ...{ title: 'cross term', about: 'how far averaging A and B is from averaging their product' },
    value: ({ crossTerm }: RoundRecord) => crossTerm,
    cell: ({ crossTerm }: RoundRecord) => (crossTerm === null ? '-' : figureText(crossTerm)),
  },
];

function endOf({ mixedAt, beganAt, edges }: RoundRecord, now: number): number {
  return Math.max(mixedAt ?? Math.min(now, beganAt + 600_000), ...edges.map(({ receivedAt }) => receivedAt ?? 0));
}

function Waterfall(props: { round: RoundRecord; span: number; now: number; nameOf: (id: string) => string }) {
  const { round, span, now, nameOf } = props;
  const { beganAt, trainedAt, mixedAt, edges } = round;
  const end = mixedAt ?? now;
  return (
    <div class="waterfall">
      <h4>Round {round.round + 1}</h4>
      <Row
        name="this peer"
        {...{ span, beganAt }}
        parts={trainedAt ? [['training', beganAt, trainedAt]] : []}
        text={trainedAt ? spanText(trainedAt - beganAt) : mixedAt ? 'mixes only' : 'training ...'}
      />
      {edges.map((edge) => (
        <Row
          key={edge.id}
          name={nameOf(edge.id)}
          {...{ span, beganAt }}
          parts={partsOf(edge, end)}
          text={textOf(edge)}
        />
      ))}
    </div>
  );
}

type Part = readonly [kind: 'training' | 'waiting' | 'came', from: number, to: number];

/** Its adapter may have come before one's own left. */
function partsOf({ sentAt, receivedAt }: EdgeRecord, end: number): Part[] {
  const from = Math.min(sentAt ?? end, receivedAt ?? end);
  if (receivedAt === null) return [['waiting', from, end]];
  return [
    ...(receivedAt > from ? [['waiting', from, receivedAt] as const] : []),
    ['came', receivedAt, Math.max(receivedAt, end)],
  ];
}

function textOf({ sentAt, receivedAt, sentBytes, receivedBytes, outcome, isClipped }: EdgeRecord): string {
  const wait = sentAt !== null && receivedAt !== null ? `, waited ${spanText(Math.max(0, receivedAt - sentAt))}` : '';
  return `${outcome}${isClipped ? ', clipped' : ''}${wait}; ${bytesText(sentBytes)} out, ${bytesText(receivedBytes)} in`;
}

function Row({
  name,
  parts,
  beganAt,
  span,
  text,
}: {
  name: string;
  parts: readonly Part[];
  beganAt: number;
  span: number;
  text: string;
}) {
  const share = (ms: number): string => `${((100 * Math.max(0, ms)) / span).toFixed(2)}%`;
  return (
    <div class="row">
      <span class="name">{name}</span>
      <span class="track" aria-hidden="true">
        {parts.map(([kind, from, to]) => (
          <span key={kind} class={`bit ${kind}`} style={{ left: share(from - beganAt), width: share(to - from) }} />
        ))}
      </span>
      <span class="quiet">{text}</span>
    </div>
  );
}
