/** @file Who is there: how they deliver, how far they are, what was refused of them and why; and whom this peer refuses. */

import { useState } from 'preact/hooks';
import type { PeerRecord } from '../../chronicle/record.ts';
import { figureText } from '../../figures.ts';
import { REFUSED } from '../../refusals.ts';
import { ask, type ViewProps } from '../live.ts';
import { Dot } from '../parts/mark.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { STANDINGS, spanText, standingOf } from '../words.ts';

export function Peers({ source, nameOf }: ViewProps) {
  const peers = source.whole.peers.filter(isOfNote);
  const [said, setSaid] = useState('');
  const canJudge = source.can.includes('ban');
  const judge = (verdict: 'ban' | 'allow', id: string): void => {
    ask(source.peer, verdict, { id }).then(
      () =>
        setSaid(
          `${nameOf(id)} is ${verdict === 'ban' ? 'refused from now on, and whomever it has invited' : 'let in again'}`,
        ),
      (error: Error) => setSaid(error.message),
    );
  };
  const columns: Column<PeerRecord>[] = [
    {
      ...{ title: 'peer', isText: true, value: ({ id }) => id },
      cell: ({ id }) => <span title={id}>{nameOf(id)}</span>,
    },
    {
      ...{ title: 'state', isText: true, value: (peer) => STANDINGS[standingOf(peer)] },
      cell: (peer) => (
        <>
          <Dot standing={standingOf(peer)} /> {STANDINGS[standingOf(peer)]}
        </>
      ),
    },
    { title: 'round', value: ({ round }) => round },
    { title: 'mixed', about: 'exchanges whose adapter was mixed in', value: ({ mixed }) => mixed },
    { title: 'late', about: 'of them, after their round had ended', value: ({ late }) => late },
    { title: 'came to nothing', about: 'called off by agreement, or given up', value: ({ given }) => given },
    {
      ...{ title: 'usual wait', about: "until its adapter is here, from when one's own is ready" },
      ...{ value: ({ waitMs }) => waitMs, cell: ({ waitMs }) => (waitMs === null ? '-' : spanText(waitMs)) },
    },
    {
      ...{ title: 'distance', about: 'of its adapter from what was sent to it, relative, when they last met' },
      ...{
        value: ({ distance }) => distance,
        cell: ({ distance }) => (distance === null ? '-' : figureText(distance)),
      },
    },
    { title: 'clipped', about: 'was too far away to be taken in whole', value: ({ clipped }) => clipped },
    {
      ...{ title: 'refused', isText: true, value: (peer) => refusedText(peer) || null },
      cell: (peer) => <span class="reason">{refusedText(peer)}</span>,
    },
    ...(canJudge
      ? [
          {
            ...{
              title: 'verdict',
              isText: true,
              value: ({ isBanned }: PeerRecord) => (isBanned ? 'refused' : 'let in'),
            },
            cell: ({ id, isBanned }: PeerRecord) => (
              <button
                type="button"
                class={isBanned ? '' : 'danger'}
                aria-label={`${isBanned ? 'allow' : 'ban'} ${nameOf(id)}`}
                onClick={() => judge(isBanned ? 'allow' : 'ban', id)}
              >
                {isBanned ? 'Allow' : 'Ban'}
              </button>
            ),
          },
        ]
      : []),
  ];
  return (
    <>
      <p role="status" class="said">
        {said}
      </p>
      <section class="card" aria-label="peers">
        <Table title="peers" columns={columns} rows={peers} keyOf={({ id }) => id} empty="Nobody has been met yet." />
      </section>
    </>
  );
}

/** Who asked once what the run is, as one does before joining, is not. */
function isOfNote({ state, isConnected, isBanned, mixed, refused }: PeerRecord): boolean {
  return state !== 'unknown' || isConnected || isBanned || mixed > 0 || Object.keys(refused).length > 0;
}

function refusedText({ refused }: PeerRecord): string {
  return (Object.entries(refused) as [keyof typeof REFUSED, number][])
    .map(([code, count]) => `${count} ${REFUSED[code]}`)
    .join('; ');
}
