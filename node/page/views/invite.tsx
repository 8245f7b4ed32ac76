/** @file What others join with: the invite as text and as a code, and how many places it has left. */
import { useEffect, useState } from 'preact/hooks';
import type { InviteAnswer } from '../answers.ts';
import { ask, type ViewProps } from '../live.ts';
import { Card } from '../parts/mark.tsx';
import { Qr } from '../parts/qr.tsx';

export function Invite({ source }: ViewProps) {
  const [given, setGiven] = useState<InviteAnswer | null>(null);
  const [said, setSaid] = useState('');
  const { peer, whole } = source;
  useEffect(() => {
    ask<InviteAnswer>(peer, 'invite').then(setGiven, (error: Error) => setSaid(error.message));
  }, [peer, whole.head.members]);
  if (!given) return <p role="status">{said || 'One moment ...'}</p>;
  const command = `lorikeet join ${given.invite} --data FILE`;
  const copy = (): void => {
    navigator.clipboard.writeText(command).then(
      () => setSaid('copied'),
      () => setSaid('the browser does not let the page copy: select the text'),
    );
  };
  return (
    <div class="columns">
      <Card title="Invite" about="Whoever has it can join: hand it over as you would a key.">
        <pre class="invite">{command}</pre>
        <div class="tools">
          <button type="button" onClick={copy}>
            Copy
          </button>
          <span role="status" class="quiet">
            {said}
          </span>
        </div>
        <dl class="pairs">
          <div>
            <dt>places</dt>
            <dd>
              {given.uses === null
                ? 'any number: the run is open'
                : `${Math.max(0, given.uses - given.taken)} of ${given.uses} left`}
            </dd>
          </div>
          <div>
            <dt>until</dt>
            <dd>{given.expires === null ? 'for ever' : new Date(given.expires).toLocaleString()}</dd>
          </div>
        </dl>
      </Card>
      <Card title="As a code">
        <Qr text={given.invite} label="QR code of the invite" />
      </Card>
    </div>
  );
}
