/** @file Goes through rounds: a slider, and a button that follows the newest. */
import type { ComponentChildren } from 'preact';

export function Slider({
  id,
  last,
  value,
  asked,
  onAsk,
  children,
}: {
  id: string;
  last: number;
  value: number;
  /** What the user has moved it to; null: it follows. */
  asked: number | null;
  onAsk: (value: number | null) => void;
  /** Its label. */
  children: ComponentChildren;
}) {
  return (
    <div class="slider">
      <label for={id}>{children}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={value}
        onInput={(event) => onAsk(Number(event.currentTarget.value))}
      />
      <button type="button" aria-pressed={asked === null} onClick={() => onAsk(null)}>
        Follow
      </button>
    </div>
  );
}
