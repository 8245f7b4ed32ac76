/** @file Whether the reader likes it dark, also when that changes. */
import { useEffect, useState } from 'preact/hooks';

const wish = matchMedia('(prefers-color-scheme: dark)');

export function useDark(): boolean {
  const [isDark, setDark] = useState(wish.matches);
  useEffect(() => {
    const hear = (): void => setDark(wish.matches);
    wish.addEventListener('change', hear);
    return () => wish.removeEventListener('change', hear);
  }, []);
  return isDark;
}
