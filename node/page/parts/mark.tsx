/** @file The bird, and small pieces that views share. */
import type { ComponentChildren } from 'preact';
import type { Standing } from '../words.ts';

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M6 30c0-9 1-17 8-21 5-3 11 0 12 5 1 8-6 11-9 16z" fill="#12a150" />
      <path d="M13 9c5-4 12-2 13 5-4-1-9-1-13-5z" fill="#1f6feb" />
      <path d="M9 22c5-1 9 0 12 1l-4 7H6c0-3 1-6 3-8z" fill="#e5484d" />
      <path d="M24 11l6 3-4 4c-2-2-3-4-2-7z" fill="#f5a524" />
      <circle cx="20.500" cy="11.500" r="1.700" fill="#fff" />
    </svg>
  );
}

export function Card({ title, children, about }: { title: string; children: ComponentChildren; about?: string }) {
  return (
    <section class="card" aria-label={title}>
      <h3>{title}</h3>
      {about && <p class="quiet">{about}</p>}
      {children}
    </section>
  );
}

/** A figure with what it is. */
export function Fact({
  name,
  children,
  more,
}: {
  name: string;
  children: ComponentChildren;
  more?: ComponentChildren;
}) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        {children}
        {more && <span class="quiet">{more}</span>}
      </dd>
    </div>
  );
}

export function Dot({ standing }: { standing: Standing }) {
  return <span class={`dot ${standing}`} aria-hidden="true" />;
}
