/** @file The peer's texts: add and label some, see what the swarm takes the others for, and correct it. */
import { useEffect, useState } from 'preact/hooks';
import type { TextRow, TextsAnswer } from '../answers.ts';
import { ask, type ViewProps } from '../live.ts';
import { Card } from '../parts/mark.tsx';
import { percentText } from '../words.ts';

const FILTERS = {
  all: 'all',
  labelled: 'with a label',
  unlabelled: 'without a label',
  changed: 'added or corrected here',
};

export function Texts({ source }: ViewProps) {
  const { peer, whole } = source;
  const [filter, setFilter] = useState<keyof typeof FILTERS>('unlabelled');
  const [search, setSearch] = useState('');
  const [offset, setOffset] = useState(0);
  const [answer, setAnswer] = useState<TextsAnswer | null>(null);
  const [said, setSaid] = useState('');
  const load = (): void => {
    ask<TextsAnswer>(peer, 'texts', { filter, search, offset }).then(setAnswer, (error: Error) =>
      setSaid(error.message),
    );
  };
  useEffect(load, [peer, filter, search, offset]);
  const change = (action: 'label' | 'forget', given: object, line: string): Promise<void> =>
    ask(peer, action, given).then(
      () => {
        setSaid(line);
        load();
      },
      (error: Error) => setSaid(error.message),
    );
  const classes = answer?.classes ?? whole.subject.classes;
  const label = (text: string, to: string | null): void => {
    change(
      'label',
      { text, label: to },
      `${to === null ? 'its label is gone' : `it is ${to}`}, from the next round on`,
    );
  };
  return (
    <>
      <p class="quiet about">
        What you say here is kept in the state folder, beside your file, which stays as it is; labels count as gold from
        the next round on. {whole.head.labelled} texts have a label now, {whole.head.unlabelled} have none.
      </p>
      <Add
        classes={classes}
        onAdd={(text, to) => change('label', { text, label: to }, 'taken in, from the next round on')}
      />
      <Card title="Your texts">
        <div class="tools">
          <label>
            show{' '}
            <select
              value={filter}
              onChange={(event) => {
                setOffset(0);
                setFilter(event.currentTarget.value as keyof typeof FILTERS);
              }}
            >
              {Object.entries(FILTERS).map(([name, title]) => (
                <option key={name} value={name}>
                  {title}
                </option>
              ))}
            </select>
          </label>
          <label>
            with the words{' '}
            <input type="text" value={search} onChange={(event) => setSearch(event.currentTarget.value)} />
          </label>
          <button type="button" onClick={load}>
            Look again
          </button>
          <span class="grow" />
          {answer && answer.total > 0 && (
            <>
              <button type="button" disabled={answer.offset === 0} onClick={() => setOffset(Math.max(0, offset - 50))}>
                Before
              </button>
              <span>
                {answer.offset + 1} to {answer.offset + answer.rows.length} of {answer.total}
              </span>
              <button
                type="button"
                disabled={answer.offset + answer.rows.length >= answer.total}
                onClick={() => setOffset(offset + 50)}
              >
                After
              </button>
            </>
          )}
        </div>
        <p role="status" class="said">
          {said}
        </p>
        {!answer && said === '' && <p class="quiet">One moment: the model is at work, and then labels these ...</p>}
        {answer?.rows.length === 0 && <p class="quiet">No such text.</p>}
        <ul class="texts">
          {answer?.rows.map((row, i) => (
            <Row
              key={`${row.text} ${i}`}
              {...{ row, classes }}
              onLabel={(to) => label(row.text, to)}
              onForget={() =>
                change('forget', { text: row.text }, row.isAdded ? 'taken out again' : 'as your file has it again')
              }
            />
          ))}
        </ul>
      </Card>
    </>
  );
}

function Add({
  classes,
  onAdd,
}: {
  classes: readonly string[];
  onAdd: (text: string, to: string | null) => Promise<void>;
}) {
  const [text, setText] = useState('');
  const [to, setTo] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    onAdd(text, to === '' ? null : to).then(() => setText(''));
  };
  return (
    <Card title="Add a text">
      <form onSubmit={submit}>
        <textarea aria-label="text" rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <div class="tools">
          <label>
            label{' '}
            <select value={to} onChange={(event) => setTo(event.currentTarget.value)}>
              <option value="">none: the swarm gives it one</option>
              {classes.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <button type="submit" class="main" disabled={text.trim() === ''}>
            Add
          </button>
        </div>
      </form>
    </Card>
  );
}

function Row(props: {
  row: TextRow;
  classes: readonly string[];
  onLabel: (to: string | null) => void;
  onForget: () => void;
}) {
  const { row, classes, onLabel, onForget } = props;
  const { text, label, given, soft, isTrained, isNoted, isAdded } = row;
  return (
    <li>
      <span class="body">{text}</span>
      <span class="quiet">
        {soft
          ? `the swarm says ${soft.label}, ${percentText(soft.confidence)} sure${isTrained ? '; trained on as a soft label now' : ''}`
          : isAdded
            ? 'added here'
            : isNoted
              ? `your file says ${given ?? 'nothing'}`
              : 'as in your file'}
      </span>
      <span class="tools">
        {classes.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={label === name}
            aria-label={`${name}: ${text.slice(0, 60)}`}
            onClick={() => onLabel(label === name ? null : name)}
          >
            {name}
          </button>
        ))}
        {isNoted && (
          <button
            type="button"
            aria-label={`${isAdded ? 'take out' : 'undo'}: ${text.slice(0, 60)}`}
            onClick={onForget}
          >
            {isAdded ? 'Take out' : 'Undo'}
          </button>
        )}
      </span>
    </li>
  );
}
