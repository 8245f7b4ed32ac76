/** @file A text as a QR code for a terminal: two rows of it a line, as ISO/IEC 18004 has it. */
import { renderUnicodeCompact } from 'uqr';

function rendered(text: string): string[] {
  return renderUnicodeCompact(text, { ecc: 'L', border: 2 }).split('\n');
}

/** How many columns the QR code of a text takes. */
export function qrColumns(text: string): number {
  return rendered(text)[0]!.length;
}

/** The lines of a text's QR code; null where it has no room in so many columns. */
export function qrLines(text: string, columns: number): string[] | null {
  const lines = rendered(text);
  return lines[0]!.length <= columns ? lines : null;
}
