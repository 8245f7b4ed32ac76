/** @file What has left this machine: to whom, what, how often and how much; and what has not. */

import type { Kind, Traffic } from '../../chronicle/record.ts';
import { bytesText, counted } from '../../figures.ts';
import type { ViewProps } from '../live.ts';
import { Card } from '../parts/mark.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { KINDS } from '../words.ts';

interface Row {
  readonly to: string;
  readonly kind: Kind;
  readonly count: number;
  readonly bytes: number;
}

export function Privacy({ source, nameOf }: ViewProps) {
  const { peers, published, subject, head } = source.whole;
  const rows = [...rowsOf('everybody', published), ...peers.flatMap(({ id, sent }) => rowsOf(id, sent))];
  const known = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const adapters = rows.filter(({ kind }) => kind === 'data' || kind === 'adapter');
  const columns: Column<Row>[] = [
    {
      ...{ title: 'to', isText: true, value: ({ to }) => to },
      cell: ({ to }) => (to === 'everybody' ? <em>everybody</em> : <span title={to}>{nameOf(to)}</span>),
    },
    { title: 'what', isText: true, value: ({ kind }) => KINDS[kind] },
    { title: 'times', value: ({ count }) => count },
    { title: 'size', value: ({ bytes }) => bytes, cell: ({ bytes }) => bytesText(bytes) },
  ];
  return (
    <>
      <Card title="In short">
        <p>
          <strong>No text and no label has left this machine.</strong> What travels are adapters, numbers trained on the
          texts, of which{' '}
          {counted(
            adapters.reduce((sum, { count }) => sum + count, 0),
            'copy',
            'copies',
          )}{' '}
          went to {counted(new Set(adapters.map(({ to }) => to)).size, 'peer')}; and words about rounds.
        </p>
        <p class="quiet">
          An adapter may give away something of what it was trained on to somebody who tries; docs/threats.md says what
          is known of that. {bytesText(known)} of {bytesText(head.sentBytes)} sent are listed
          {subject.isOpen ? '; the run is open: whoever comes gets them' : '; they go to members of the run alone'}.
        </p>
      </Card>
      <Card title="What was sent to whom">
        <Table
          title="sent"
          columns={columns}
          rows={rows}
          keyOf={({ to, kind }) => `${to} ${kind}`}
          empty="Nothing was sent yet."
        />
      </Card>
    </>
  );
}

function rowsOf(to: string, traffic: Traffic): Row[] {
  return Object.entries(traffic).map(([kind, parcels]) => ({ to, kind: kind as Kind, ...parcels }));
}
