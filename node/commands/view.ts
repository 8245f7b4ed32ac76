/** @file What `up` and `join` show of a peer while it takes part. */
import { bytesText, type Display, percent, table } from '../display.ts';
import type { ParticipantView } from '../participant.ts';

/** A live block on a terminal; elsewhere a line when a round is mixed or the members change. */
export function showView(display: Display): (view: ParticipantView) => void {
  let last = '';
  return (view) => {
    display.live(viewLines(view));
    if (display.isTerminal) return;
    const line =
      view.phase === 'gathering'
        ? `waiting for peers: ${view.members} here`
        : `round ${view.round} of ${view.rounds}: ${view.members} members, mixed ${view.neighbours}, loss ${view.loss?.toFixed(3) ?? '-'}, cross term ${view.crossTerm?.toExponential(1) ?? '-'}, ${view.pseudo > 0 ? `soft labels ${softLabelsText(view)}, ` : ''}sent ${bytesText(view.sentBytes)}`;
    const key = `${view.phase === 'gathering' ? 'g' : view.round}/${view.members}`;
    if (key !== last) display.note(line);
    last = key;
  };
}

/** How many texts have one, their share of the unlabelled, and where it is known how many are right. */
function softLabelsText({ pseudo, coverage, precision }: ParticipantView): string {
  return `${pseudo} (${percent(coverage)} of the unlabelled${precision === null ? '' : `, ${percent(precision)} right`})`;
}

function viewLines(view: ParticipantView): string[] {
  const refused = Object.entries(view.refused)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ');
  return table([
    ['round', `${view.round}/${view.rounds}`],
    ['now', view.phase],
    ['members', String(view.members)],
    ['mixed with', `${view.neighbours} neighbours`],
    ['their distance', view.distance?.toExponential(1) ?? '-'],
    ['cross term', view.crossTerm?.toExponential(1) ?? '-'],
    ['loss', view.loss?.toFixed(3) ?? '-'],
    ['soft labels', softLabelsText(view)],
    ['sent', bytesText(view.sentBytes)],
    ['given up', `${view.abandoned} exchanges`],
    ['refused', refused || 'nothing'],
  ]);
}
