/** @file A text as a QR code; the one door to uqr. */
import { useMemo } from 'preact/hooks';
import { encode } from 'uqr';

/** Nothing where the text is longer than any code holds. */
export function Qr({ text, label }: { text: string; label: string }) {
  const code = useMemo(() => {
    try {
      return encode(text, { ecc: 'L', border: 2 });
    } catch {
      return null;
    }
  }, [text]);
  if (!code) return <p class="quiet">Too long for a QR code.</p>;
  const path = code.data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : []))).join('');
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${code.size} ${code.size}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <rect width={code.size} height={code.size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
