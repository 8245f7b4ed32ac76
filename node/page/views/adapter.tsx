/** @file The adapter: what it takes a text for, beside the base and earlier ones; and writing it out for other tools. */
import { useState } from 'preact/hooks';
import type { TryAnswer } from '../answers.ts';
import { ask, type ViewProps } from '../live.ts';
import { Card } from '../parts/mark.tsx';
import { percentText } from '../words.ts';

export function Adapter({ source }: ViewProps) {
  return (
    <div class="columns">
      {source.can.includes('try') && <Try peer={source.peer} />}
      <Export peer={source.peer} />
    </div>
  );
}

function Try({ peer }: { peer: number }) {
  const [text, setText] = useState('');
  const [answer, setAnswer] = useState<TryAnswer | null>(null);
  const [said, setSaid] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    setSaid('one moment: the model may be training ...');
    ask<TryAnswer>(peer, 'try', { text }).then(
      (given) => {
        setAnswer(given);
        setSaid('');
      },
      (error: Error) => setSaid(error.message),
    );
  };
  return (
    <Card title="Try a text" about="It stays on this machine, and is not trained on.">
      <form onSubmit={submit}>
        <label for="text" class="quiet">
          Text
        </label>
        <textarea id="text" rows={4} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <div class="tools">
          <button type="submit" class="main" disabled={text.trim() === ''}>
            Classify
          </button>
          <span role="status" class="quiet">
            {said}
          </span>
        </div>
      </form>
      {answer && (
        <ul class="opinions">
          {answer.opinions.map(({ name, probabilities }) => {
            const best = probabilities.indexOf(Math.max(...probabilities));
            const [short, ...more] = name.split(': ');
            return (
              <li key={name}>
                <span>
                  <strong>{short}</strong> <span class="quiet">{more.join(': ')}</span>
                </span>
                <span class="track" aria-hidden="true">
                  {probabilities.map((p, k) => (
                    <span
                      key={answer.classes[k]}
                      class={k === best ? 'best' : ''}
                      style={{ width: `${100 * p}%` }}
                      title={`${answer.classes[k]}: ${percentText(p)}`}
                    />
                  ))}
                </span>
                <span>
                  {answer.classes[best]} <strong>{percentText(probabilities[best]!)}</strong>
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </Card>
  );
}

function Export({ peer }: { peer: number }) {
  const [said, setSaid] = useState('');
  const write = (): void => {
    ask<{ folder: string }>(peer, 'export').then(
      ({ folder }) => setSaid(`written to ${folder}`),
      (error: Error) => setSaid(error.message),
    );
  };
  return (
    <Card
      title="Export"
      about="The adapter as mixed now, in PEFT's format: Hugging Face PEFT and transformers load it."
    >
      <div class="tools">
        <button type="button" class="main" onClick={write}>
          Write it
        </button>
      </div>
      <p role="status" class="path">
        {said}
      </p>
      <p class="quiet">
        When the run is over, <code>lorikeet export --format gguf -o DIR</code> and its like write it for llama.cpp,
        Ollama, ONNX and transformers.js.
      </p>
    </Card>
  );
}
