/** @file What a command shows while it works, on stderr: a live block on a terminal, plain lines elsewhere. */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { durationText } from './figures.ts';

export interface Display {
  /** A line that stays. */
  note(line: string): void;
  /** The live block; on anything but a terminal it is dropped. */
  live(lines: readonly string[]): void;
  /** Progress of a long stage: a bar on a terminal, elsewhere a line when it begins and then now and again. */
  progress(label: string, done: number, total: number, detail?: string): void;
  /** Leaves the last live block standing. */
  close(): void;
  /** Says nothing any more, since nobody reads it. */
  mute(): void;
  readonly isTerminal: boolean;
}

const FRAME_MS = 80;
const BAR_CELLS = 24;
/** Between two lines on a stage where there is no terminal. */
const LINE_MS = 15_000;

export function createDisplay(stream: NodeJS.WriteStream = process.stderr, isQuiet = false): Display {
  let quiet = isQuiet;
  // A dumb terminal cannot go back to draw a line again.
  const isTerminal = Boolean(stream.isTTY) && process.env.TERM !== 'dumb' && !quiet;
  let block: readonly string[] = [];
  let drawn = 0;
  let lastDraw = 0;
  let pending: NodeJS.Timeout | null = null;
  const steps = new Map<string, { toldAt: number; at: number; from: number }>();

  const erase = (): void => {
    if (drawn === 0) return;
    moveCursor(stream, 0, -drawn);
    cursorTo(stream, 0);
    clearScreenDown(stream);
    drawn = 0;
  };
  const draw = (): void => {
    pending = null;
    erase();
    const width = Math.max(20, (stream.columns || 100) - 1);
    const lines = block.slice(0, Math.max(1, (stream.rows || 40) - 2)).map((line) => cut(line, width));
    stream.write(lines.map((line) => `${line}\n`).join(''));
    drawn = lines.length;
    lastDraw = Date.now();
  };
  const note = (line: string): void => {
    if (quiet) return;
    if (isTerminal) erase();
    stream.write(`${line}\n`);
    if (isTerminal && block.length > 0) draw();
  };
  const live = (lines: readonly string[]): void => {
    if (!isTerminal) return;
    block = lines;
    if (Date.now() - lastDraw >= FRAME_MS) draw();
    else pending ??= setTimeout(draw, FRAME_MS);
  };
  return {
    isTerminal,
    note,
    live,
    mute: () => {
      quiet = true;
    },
    progress: (label, done, total, detail = '') => {
      // What was done before the first call (an experiment resumed) says nothing of the speed.
      const step = steps.get(label) ?? { toldAt: Number.NEGATIVE_INFINITY, at: Date.now(), from: done };
      steps.set(label, step);
      const share = total === 0 ? 1 : done / total;
      const seconds = (((Date.now() - step.at) / 1000) * (total - done)) / (done - step.from);
      const counts = `${Math.floor(done)} of ${total}${done > step.from ? `, ${durationText(seconds)} left` : ''}`;
      if (isTerminal) {
        const filled = Math.round(share * BAR_CELLS);
        const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}`;
        live([`${label}  ${bar}  ${counts}`, ...(detail ? [`  ${detail}`] : [])]);
        return;
      }
      if (Date.now() - step.toldAt < LINE_MS) return;
      step.toldAt = Date.now();
      note(`${label}: ${counts}${detail && `: ${detail}`}`);
    },
    close: () => {
      if (pending) {
        clearTimeout(pending);
        draw();
      }
      block = [];
      drawn = 0;
    },
  };
}

/** Lines of aligned columns; the first column to the left, the others to the right unless asked otherwise. */
export function table(rows: readonly (readonly string[])[], others: 'left' | 'right' = 'right'): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    widths
      .map((width, column) =>
        column === 0 || others === 'left' ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** A line that fits: where it is too long, its end is cut off and marked. */
export function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}~` : line;
}
